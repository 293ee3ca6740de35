"""What it costs to hand in a job: against a bare insert of its rows; and a job of one symbol from end to end."""

import json
from itertools import count
from time import perf_counter
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from bench.context import Bench
from bench.report import Section, ratio
from bench.stack import Stack

_SERIES = 20
_NEW_PERIODS = count(2)


def run(bench: Bench) -> Section:
    stack = bench.stack
    bench.say(f"submission: {len(stack.symbols)} symbols × {_SERIES} series")
    body = {
        "symbols": list(stack.symbols),
        "indicators": [{"name": "sma", "params": {"period": list(range(5, 5 + _SERIES))}}],
        "format": "arrow",
    }
    connection = psycopg2.connect(str(stack.up["database_url"]))
    try:
        pairs = []
        for _ in bench.rounds(15, 4):
            seconds, job_id = _submit(stack, body)
            pairs.append((1000 * seconds, 1000 * _insert_again(connection, job_id)))
        bench.say("submission: jobs of one symbol")
        whole = [(1000 * _one_symbol(stack), 1000 * (_cold(stack) + _insert_again(connection, job_id)))
                 for _ in bench.rounds(30, 8)]  # fmt: skip
    finally:
        connection.close()
    figures = [
        ratio("answer to a job, against a bare insert of its rows", "ms", pairs),
        ratio("job of one symbol to its end, against a cold value and the inserts", "ms", whole),
    ]
    against = (
        f"POST of a job of {len(stack.symbols) * _SERIES:,} series to its 202. Baseline: the rows it has left in"
        " PostgreSQL, read beforehand and inserted again under another id by one connection in one transaction, on"
        " disk. A job of one symbol is waited for with `Prefer: wait`; what it is held against is a value of the same"
        " kind that nobody has asked before, and the insert of the large job's rows."
    )
    return Section("submission", against, figures)


def _submit(stack: Stack, body: dict[str, Any]) -> tuple[float, str]:
    """Seconds to the answer; the job has ended when this returns."""
    payload = json.dumps(body).encode()
    began = perf_counter()
    answer = stack.client.ask("POST", "/v1/jobs", payload, {"Content-Type": "application/json"})
    seconds = perf_counter() - began
    job_id = answer.json()["id"]
    ended = stack.client.ask("GET", f"/v1/jobs/{job_id}?wait=60").json()
    if ended["status"] != "completed":
        raise RuntimeError(f"the job is {ended['status']}")
    return seconds, job_id


def _insert_again(connection: Any, job_id: str) -> float:  # noqa: ANN401 - psycopg2 has no types
    """Seconds to insert the rows of a job once more; they are removed again."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, request::text, format, data_version, cost, charged_on, parts_total FROM jobs"
            " WHERE id = %s",
            (job_id,),
        )
        job = cursor.fetchone()
        cursor.execute(
            "SELECT number, user_id, accepted_at, symbols FROM job_parts WHERE job_id = %s ORDER BY number", (job_id,)
        )
        parts = cursor.fetchall()
        cursor.execute("SELECT gen_random_uuid()")
        (copy,) = cursor.fetchone()
    began = perf_counter()
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (id, user_id, request, format, data_version, cost, charged_on, parts_total, status)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'cancelled')",
            (copy, *job),
        )
        execute_values(
            cursor,
            "INSERT INTO job_parts (job_id, number, user_id, accepted_at, symbols, state) VALUES %s",
            [(copy, *part, "cancelled") for part in parts],
        )
    seconds = perf_counter() - began
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs WHERE id = %s", (copy,))
    return seconds


def _one_symbol(stack: Stack) -> float:
    """Seconds from a job of one symbol and one series to its end."""
    body = {
        "symbols": [stack.symbols[0]],
        "indicators": [{"name": "wma", "params": {"period": next(_NEW_PERIODS)}}],
        "format": "json",
    }
    headers = {"Content-Type": "application/json", "Prefer": "wait=60"}
    payload = json.dumps(body).encode()
    began = perf_counter()
    answer = stack.client.ask("POST", "/v1/jobs", payload, headers)
    seconds = perf_counter() - began
    if answer.json()["status"] != "completed":
        raise RuntimeError(f"the job is {answer.json()['status']}")
    return seconds


def _cold(stack: Stack) -> float:
    """Seconds for a value that is in no cache."""
    target = f"/v1/indicators/wma/values?symbol={stack.symbols[1]}&period={next(_NEW_PERIODS)}"
    began = perf_counter()
    stack.client.ask("GET", target)
    return perf_counter() - began
