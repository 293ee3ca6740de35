"""A whole stack for the benchmarks: `kalpi up` over a generated sample, and a premium user who asks it."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from bench.load import Headers
from bench.processes import HOST, ROOT, environment, listener, running, wait_until
from cli import services
from cli.services import Backends
from cli.state import Secrets

SETTINGS = {
    "KALPI_ADDRESS_PER_SECOND": "100000",  # all load comes from one address: it is checked, and not refused
    "KALPI_BCRYPT_ROUNDS": "4",  # hundreds of users sign in before anything is measured
    "KALPI_ACCESS_TOKEN_SECONDS": "14400",  # longer than a benchmark
}
"""Of the stack, where they are not the defaults. The bursts of users are bounded as they are by default."""

WORKERS = 2
SYMBOLS = 500
YEARS = 3

_END = "2025-12-31"
_USER, _PASSWORD = "bench", "bench-password"
_START_SECONDS = 180
_REQUEST_SECONDS = 120
_IDLE_SECONDS = 3  # the server closes a connection after 5


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body)


class Client:
    """One user on one connection that stays open."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_REQUEST_SECONDS)
        self._headers = dict(headers)
        self._last_used = 0.0

    def ask(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Raises RuntimeError unless the answer is a success."""
        if time.monotonic() - self._last_used > _IDLE_SECONDS:
            self._connection.close()  # the next request opens it again
        self._connection.request(method, target, body, {**self._headers, **(headers or {})})
        response = self._connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        self._last_used = time.monotonic()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {target}: {answer.status} {answer.body[:500]!r}")
        return answer

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class ApiProcess:
    url: str
    pid: int


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that is ready. `up` is its up.json."""

    state_dir: Path
    data_file: Path
    up: Mapping[str, Any]
    headers: Headers  # of a signed-in premium user
    client: Client
    symbols: tuple[str, ...]
    as_of: str

    @property
    def url(self) -> str:
        return str(self.up["url"])


@contextmanager
def started(folder: Path) -> Iterator[Stack]:
    """Everything it writes lies in `folder`."""
    data_file, state_dir = folder / "sample.parquet", folder / "state"
    # So that no worker compiles beside what is measured.
    subprocess.run([sys.executable, "-m", "worker.compiling"], cwd=ROOT, env=environment(), check=True)
    _kalpi(
        "data", "sample", "--symbols", str(SYMBOLS), "--years", str(YEARS), "--end", _END, "--out", str(data_file),
        state_dir=folder / "unused",
    )  # fmt: skip
    log = folder / "up.log"
    argv = [
        *(sys.executable, "-m", "cli", "up", "--port", "0", "--no-flower"),
        *("--state-dir", str(state_dir), "--data", str(data_file), "--workers", str(WORKERS)),
    ]
    with running(argv, log, env=SETTINGS) as process:
        wait_until((state_dir / "up.json").exists, process, log, _START_SECONDS)
        up = json.loads((state_dir / "up.json").read_text())
        _kalpi("users", "create", _USER, "--tier", "premium", "--password-stdin", state_dir=state_dir, words=_PASSWORD)
        [headers] = sign_in(up["url"], [_USER])
        client = Client(up["url"], headers)
        try:
            catalogue = client.ask("GET", f"/v1/symbols?page_size={SYMBOLS}").json()
            symbols = tuple(s["symbol"] for s in catalogue["symbols"])
            yield Stack(state_dir, data_file, up, headers, client, symbols, catalogue["as_of"])
        finally:
            client.close()


@contextmanager
def api_processes(stack: Stack, folder: Path, count: int) -> Iterator[Sequence[ApiProcess]]:
    """So many more, started as `kalpi up` starts its own, but each on a port of its own."""
    backends = Backends(*(str(stack.up[name]) for name in ("database_url", "redis_url", "cache_url")))
    secrets = Secrets(**json.loads((stack.state_dir / "secrets.json").read_text()))
    env = {**services.environment(stack.state_dir, stack.data_file, backends, secrets), **SETTINGS}
    with ExitStack() as cleanup:
        started = []
        for number in range(1, count + 1):
            metrics, log = folder / f"metrics-{number}", folder / f"api-{number}.log"
            metrics.mkdir(parents=True)
            socket = cleanup.enter_context(listener())
            command = services.api(f"api-{number}", socket.fileno(), metrics, env)
            process = cleanup.enter_context(running(command.argv, log, env=command.env, fds=command.fds))
            url = f"http://{HOST}:{socket.getsockname()[1]}"
            wait_until(lambda url=url: _is_ready(url), process, log, _START_SECONDS)  # type: ignore[misc]
            started.append(ApiProcess(url, process.pid))
        yield started


def _is_ready(url: str) -> bool:
    client = Client(url, {})
    try:
        client.ask("GET", "/health/ready")
    except RuntimeError:
        return False
    finally:
        client.close()
    return True


def _kalpi(*words: str, state_dir: Path, **options: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=ROOT,
        env=environment({"KALPI_STATE_DIR": str(state_dir)}),
        input=options.get("words"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode != 0:
        raise RuntimeError(f"kalpi {' '.join(words)}: {done.stderr or done.stdout}")


def register(url: str, names: Iterable[str]) -> None:
    """Free users of these names, who all have the same password."""
    client = Client(url, {"Content-Type": "application/json"})
    try:
        for name in names:
            client.ask("POST", "/v1/auth/register", json.dumps({"username": name, "password": _PASSWORD}).encode())
    finally:
        client.close()


def sign_in(url: str, names: Iterable[str]) -> list[Headers]:
    """The headers with which each of them asks."""
    client = Client(url, {"Content-Type": "application/x-www-form-urlencoded"})
    try:
        forms = [urlencode({"username": name, "password": _PASSWORD}).encode() for name in names]
        tokens = [client.ask("POST", "/v1/auth/token", form).json()["access_token"] for form in forms]
    finally:
        client.close()
    return [{"Authorization": f"Bearer {token}"} for token in tokens]
