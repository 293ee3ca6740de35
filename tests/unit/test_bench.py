"""The benchmarks' own arithmetic and client, without a measurement."""

import asyncio
import subprocess
from typing import Any

import pytest

from bench import __main__ as command
from bench import load, report
from bench.job_series import SERIES
from common.catalogue import find


def test_ratio_is_the_median_of_the_rounds_own() -> None:
    figure = report.ratio("x", "ms", [(2.0, 1.0), (30.0, 10.0), (8.0, 2.0)])
    assert (figure.ours, figure.baseline, figure.ratio, figure.better) == (8.0, 2.0, 3.0, "lower")


def test_speed_up_is_the_other_way_round() -> None:
    figure = report.speed_up("x", "ms", [(1.0, 25.0)])
    assert (figure.ratio, figure.better) == (25.0, "higher")


WRK = """Running 2s test @ http://127.0.0.1:1/values
  Latency Distribution
     50%  212.00us
     75%    1.10ms
     90%    1.90ms
     99%    1.02s
  9000 requests in 2.00s, 50.00MB read
{error}Requests/sec:   4468.19
"""


def test_reads_what_wrk_says(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, WRK.format(error=""))
    assert load.measure("http://127.0.0.1:1/values", {}, 1, 2) == load.Load(4468.19, 0.212, 1020.0)


@pytest.mark.parametrize("error", ["  Non-2xx or 3xx responses: 7\n", "  Socket errors: connect 1, read 0\n"])
def test_refuses_a_run_with_errors(monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    says(monkeypatch, WRK.format(error=error))
    with pytest.raises(RuntimeError, match="not every answer"):
        load.measure("http://127.0.0.1:1/values", {}, 1, 2)


def says(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
        return subprocess.CompletedProcess(words, 0, text, "")

    monkeypatch.setattr(load, "WRK", "/usr/bin/wrk")
    monkeypatch.setattr(subprocess, "run", run)


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: Any) -> None:  # noqa: ANN401
        self.sent.append(bytes(data))


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello"


@pytest.mark.parametrize("size", [1, 7, len(ANSWER)])
def test_an_answer_may_come_in_pieces(size: int) -> None:
    whole: list[bytes] = []
    lost: list[Exception] = []
    wire = Wire()
    connection = load.Connection(lambda _, answer: whole.append(answer), lost.append)
    connection.connection_made(wire)
    for _ in range(2):
        connection.ask(b"GET / HTTP/1.1\r\n\r\n")
        for start in range(0, len(ANSWER), size):
            connection.data_received(ANSWER[start : start + size])
    connection.connection_lost(None)
    assert whole == [ANSWER, ANSWER]
    assert len(wire.sent) == 2
    assert not lost


def test_a_connection_that_breaks_before_its_answer_is_lost() -> None:
    lost: list[Exception] = []
    connection = load.Connection(lambda *_: None, lost.append)
    connection.connection_made(Wire())
    connection.ask(b"GET / HTTP/1.1\r\n\r\n")
    connection.data_received(ANSWER[:-1])
    connection.connection_lost(None)
    assert len(lost) == 1


def test_request_bytes() -> None:
    request = load.request_bytes("http://127.0.0.1:8000/v1?symbol=M%26M", {"Authorization": "Bearer x"})
    assert request == b"GET /v1?symbol=M%26M HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: Bearer x\r\n\r\n"


def test_the_job_has_twenty_series_the_catalogue_knows() -> None:
    assert len(SERIES) == 20
    for one in SERIES:
        spec = find(one.indicator)
        params = spec.read_params(one.params)
        assert spec.columns(spec.label(params)) == one.columns


def test_an_unknown_benchmark_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "chached"])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 2
    assert "'chached' is not one of" in capsys.readouterr().err
