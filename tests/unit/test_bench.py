"""The benchmarks' own arithmetic and client, without a measurement."""

import ast
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import psutil
import pytest

from bench import __main__ as command
from bench import brake, flat, load, report
from bench.callers import Callers
from bench.job_series import SERIES
from bench.processes import ROOT
from bench.stack import SETTINGS, Client, Stack
from common.catalogue import find
from common.settings import Settings
from common.tiers import TIERS, rank_for_date


def test_ratio_is_the_median_of_the_rounds_own() -> None:
    figure = report.ratio("x", "ms", [(2.0, 1.0), (30.0, 10.0), (8.0, 2.0)])
    assert (figure.ours, figure.baseline, figure.ratio, figure.better) == (8.0, 2.0, 3.0, "lower")


def test_speed_up_is_the_other_way_round() -> None:
    figure = report.speed_up("x", "ms", [(1.0, 25.0)])
    assert (figure.ratio, figure.better) == (25.0, "higher")


def test_difference_is_the_median_of_the_rounds_own() -> None:
    assert report.difference([(2.0, 1.5), (9.0, 1.0), (3.0, 2.0)]) == 1.0


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello"


@pytest.mark.parametrize("size", [1, 7, len(ANSWER)])
def test_an_answer_may_come_in_pieces(size: int) -> None:
    answers = load.Answers()
    for _ in range(2):
        found = [answers.whole(ANSWER[start : start + size]) for start in range(0, len(ANSWER), size)]
        assert found == [None] * (len(found) - 1) + [ANSWER]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (ANSWER.replace(b"200 OK", b"429 Too Many Requests"), "429 Too Many"),
        (ANSWER.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked"), "chunked"),
        (ANSWER + b"more", "'more'"),
    ],
)
def test_refuses_any_other_answer(answer: bytes, problem: str) -> None:
    with pytest.raises(RuntimeError, match=problem):
        load.Answers().whole(answer)


class Server(ThreadingHTTPServer):
    """Answers with the path, and remembers whom it was asked by."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        if self.path == "/gone":
            self.close_connection = True
            return
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("content-length", str(len(self.path)))
        self.send_header("x-cache", "MISS" if self.path == "/cold" else "HIT")
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    with ExitStack() as stack:
        both = [stack.enter_context(Server()) for _ in range(2)]
        threads = [Thread(target=server.serve_forever, args=(0.01,)) for server in both]
        for thread in threads:
            thread.start()
        yield both
        for server, thread in zip(both, threads, strict=True):
            server.shutdown()
            thread.join()


def test_asks_in_turn_and_no_more_than_it_should(servers: list[Server]) -> None:
    server = servers[0]
    callers = [{"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}]
    done = load.measure([server.url], callers, [("/one", 0), ("/cold", 1), ("/three", 1)], 1, 7)
    assert server.asked == ([("/one", "Bearer a"), ("/cold", "Bearer b"), ("/three", "Bearer b")] * 3)[:7]
    assert (done.requests, done.misses) == (7, 2)
    assert 0 < done.median_ms <= done.p99_ms


def test_spreads_connections_over_servers(servers: list[Server]) -> None:
    driven = load.drive([server.url for server in servers], [b"GET /x HTTP/1.1\r\n\r\n"], connections=4, total=4)
    assert len(driven.times) == 4
    assert [len(server.asked) for server in servers] == [2, 2]


def test_a_burst_keeps_the_answers(servers: list[Server]) -> None:
    paths = [f"/{number}" for number in range(20)]
    driven = load.burst(servers[0].url, {}, paths)
    assert sorted(answer.rpartition(b"\r\n")[2].decode() for answer in driven.answers) == sorted(paths)
    assert driven.misses == 0


@pytest.mark.parametrize(("path", "problem"), [("/broken", "500 Internal"), ("/gone", "closed a connection")])
def test_a_run_fails_with_its_first_bad_answer(servers: list[Server], path: str, problem: str) -> None:
    with pytest.raises(RuntimeError, match=problem):
        load.measure([servers[0].url], [{}], [("/good", 0), (path, 0)], 1)


def test_request_bytes() -> None:
    request = load.request_bytes("http://127.0.0.1:8000", "/v1?symbol=M%26M", {"Authorization": "Bearer x"})
    assert request == b"GET /v1?symbol=M%26M HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: Bearer x\r\n\r\n"


def test_every_caller_asks_what_their_tier_allows() -> None:
    last = date(2025, 12, 31)
    tiers = [*TIERS.values()] * 2
    symbols = tuple("ABCDEF")
    stack = Stack(Path(), Path(), {}, {}, Client("http://127.0.0.1:1", {}), symbols, last.isoformat())
    asks = Callers(stack, tiers, [{} for _ in tiers]).year_of_sma(20)
    words = [dict(parse_qsl(urlsplit(target).query)) for target, _ in asks]
    assert [caller for _, caller in asks] == list(range(6))
    assert [one["symbol"] for one in words] == list(symbols)
    assert [one["start_date"] for one in words] == ["2025-09-30", "2024-12-31", "2024-12-31"] * 2
    for tier, one in zip(tiers, words, strict=True):
        assert rank_for_date(date.fromisoformat(one["start_date"]), last) <= tier.rank


def test_every_answer_is_asked_for_equally_often_in_an_order_of_its_own() -> None:
    size = flat.Size(keys=50, days=60)
    tenths = list(flat.in_tenths(["A", "B"], date(2025, 12, 31), size, callers=3))
    asked = Counter(target for tenth in tenths for target, _ in tenth)
    assert [len(tenth) for tenth in tenths] == [50] * 10
    assert set(asked.values()) == {10}
    assert len(asked) == 50
    assert Counter(caller for tenth in tenths for _, caller in tenth) == {0: 167, 1: 167, 2: 166}
    assert tenths == list(flat.in_tenths(["A", "B"], date(2025, 12, 31), size, callers=3))


def test_the_brake_lets_one_process_run_after_the_other() -> None:
    go, stop = signal.SIGCONT, signal.SIGSTOP
    assert brake.turns(2, 0.25) == [(0.0, 0, go), (0.25, 0, stop), (0.5, 1, go), (0.75, 1, stop)]
    assert brake.turns(1, 0.25) == [(0.0, 0, go), (0.25, 0, stop)]
    with pytest.raises(ValueError, match=r"share 1\.5"):
        brake.turns(1, 1.5)


def test_the_brake_is_off_afterwards(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as held:
        process = psutil.Process(held.pid)
        try:
            with brake.braked([held.pid], 0.01, tmp_path / "log"):
                until(lambda: process.status() == psutil.STATUS_STOPPED)
            until(lambda: process.status() != psutil.STATUS_STOPPED)
        finally:
            held.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_the_bare_route_runs_under_the_settings_of_ours() -> None:
    ours, bare = (_server_settings(file) for file in ("api/__main__.py", "bench/bare.py"))
    assert bare == {name: value for name, value in ours.items() if name not in {"host", "port"}}


def _server_settings(file: str) -> dict[str | None, str]:
    """The keyword arguments of its one call of uvicorn.Config, as they are written."""
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "uvicorn.Config"
    ]
    [call] = calls
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


def test_the_settings_of_the_stack_are_known() -> None:
    names = [name.removeprefix("KALPI_").lower() for name in SETTINGS]
    assert set(names) <= set(Settings.model_fields)
    assert not [name for name in names if name.endswith("_per_second") and not name.startswith("address")]


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
