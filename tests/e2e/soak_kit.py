"""What the tests of durability share: jobs of many small parts, and customers who follow theirs to their end."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from tests.e2e.fleet import Fleet
from tests.integration.job_kit import wait_until
from tests.stack import Account

SYMBOLS = 75
SERIES = 10
BODY = {
    # Slow to compute and quick to write: with KALPI_PART_MILLISECONDS=1 each symbol is a part, and results are small.
    "indicators": [{"name": "volume_profile", "params": {"period": list(range(20, 20 + SERIES))}}],
    "start_date": (date.today() - timedelta(days=60)).isoformat(),  # noqa: DTZ011 - any day will do
}
"""What is computed; of which symbols, and the format, are to be added."""

BOUND = 120.0
"""In which a job that has been accepted ends, seconds, whatever happens meanwhile."""


_ATTEMPTS = "SELECT attempt, count(*) FROM job_parts WHERE job_id = ANY(CAST(:jobs AS uuid[])) GROUP BY attempt"


def attempts(fleet: Fleet, jobs: Sequence[str]) -> dict[int, int]:
    """How many parts were claimed how often, assemblies among them."""
    return dict(sorted(tuple(row) for row in fleet.rows(_ATTEMPTS, jobs=list(jobs))))


def submit(client: httpx.Client, symbols: str | Sequence[str], form: str) -> httpx.Response:
    return client.post("/v1/jobs", json={**BODY, "symbols": symbols, "format": form})


def result(client: httpx.Client, job_id: str) -> bytes:
    """Of a job that has to be completed, with every series."""

    def ended() -> dict[str, Any] | None:
        answer = client.get(f"/v1/jobs/{job_id}", params={"wait": 10})
        assert answer.status_code in {200, 503}, answer.text
        job: dict[str, Any] = answer.json()
        return job if answer.status_code == 200 and job["status"] not in ("queued", "running") else None

    job = wait_until(ended, BOUND)
    assert (job["status"], job["series"]["failed"]) == ("completed", 0), job
    found: bytes = wait_until(lambda: _download(client, job_id), BOUND)
    return found


def _download(client: httpx.Client, job_id: str) -> bytes | None:
    answer = client.get(f"/v1/jobs/{job_id}/result")
    assert answer.status_code in {200, 503}, answer.text
    return answer.content if answer.status_code == 200 else None


class Customers:
    """Each submits a small job, follows it to its end, and submits the next, inside a `with` block.

    After it, every job that was accepted has ended, with the bytes it has without any disturbance.
    """

    def __init__(self, fleet: Fleet, accounts: Sequence[Account], symbols: Sequence[str], form: str) -> None:
        self.jobs: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self._fleet = fleet
        self._symbols, self._form = symbols, form
        self._ending = False
        self._errors: list[BaseException] = []
        self._results: set[bytes] = set()
        self._threads = [threading.Thread(target=self._serve, args=(account,)) for account in accounts]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        while any(thread.is_alive() for thread in self._threads):
            self._fleet.revive()
            time.sleep(0.1)
        if error is not None:
            return
        if self._errors:
            raise self._errors[0]
        assert set(self.statuses) <= {200, 202, 429, 503}, self.statuses
        assert len(self._results) == 1
        self._fleet.assert_books()

    def _serve(self, account: Account) -> None:
        try:
            with self._fleet.client(account) as client:
                client.event_hooks["response"].append(self._note)
                while not self._ending:
                    began = time.monotonic()
                    answer = submit(client, self._symbols, self._form)
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    if answer.status_code != 202:
                        time.sleep(0.1)
                        continue
                    job_id = answer.json()["id"]
                    self.jobs.append(job_id)
                    self._results.add(result(client, job_id))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the test waits
            self._errors.append(error)

    def _note(self, answer: httpx.Response) -> None:
        self.statuses[answer.status_code] += 1

    def __str__(self) -> str:
        return f"{len(self.jobs)} jobs accepted, all completed; statuses {dict(sorted(self.statuses.items()))}"
