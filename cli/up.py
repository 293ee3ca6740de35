"""`kalpi up`: starts everything, watches over it, stops everything."""

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from cli import services
from cli.backends import sqlalchemy_url, start_backends
from cli.display import Steps
from cli.listening import Listeners, claim_port, url_of
from cli.processes import Child, Children, Command
from cli.readiness import NotReady, Service, wait_until_ready
from cli.services import Backends
from cli.signals import Signals, StopRequested
from cli.state import Secrets, StateDir
from cli.summary import Summary, show
from common.accounts import find_user
from common.dataset import MANIFEST, ManifestFile
from common.db.session import make_engine
from common.errors import StartupError
from common.settings import Settings

_READY_SECONDS = 120.0
_TAIL = 15
_DEATHS = 2
_LOOK_AROUND_SECONDS = 30.0
_BACKENDS = {"redis", "postgres"}
_BAD_INPUT = 2

# Together less than the 10 s that a stop may take.
_API_SECONDS = 2.5
_OTHERS_SECONDS = 4.0
_BACKENDS_SECONDS = 2.5


class AlreadyReported(StartupError):  # noqa: N818 - what happened
    """A command of ours has printed the one line that says what is wrong."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, with the settings where it is silent."""

    host: str
    port: int
    flower_port: int
    with_flower: bool
    state_dir: Path
    data_file: Path
    data_file_given: bool
    workers: int
    api_processes: int


def run(options: Options, settings: Settings, console: Console) -> None:
    """Returns after an orderly stop. Raises StartupError, with everything it had started stopped again."""
    state = StateDir(options.state_dir)
    state.lock()
    with Signals() as signals:
        up = _Up(options, settings, console, state, signals)
        try:
            up.start()
            up.supervise()
        except StopRequested:
            console.print("\nStopping ...")
        finally:
            up.stop()


class _Up:
    """One run of the stack."""

    def __init__(
        self, options: Options, settings: Settings, console: Console, state: StateDir, signals: Signals
    ) -> None:
        self._options = options
        self._settings = settings
        self._console = console
        self._state = state
        self._signals = signals
        self._children = Children(state.path, signals.pause)
        self._metrics_dir = state.path / "metrics"
        self._listeners: Listeners | None = None
        self._env: Mapping[str, str] = {}
        self._up: dict[str, Any] | None = None

    def start(self) -> None:
        began = time.monotonic()
        options, state = self._options, self._state
        if options.data_file_given and not options.data_file.is_file():
            raise StartupError(f"there is no data file {options.data_file}")
        self._children.end_leftovers()
        state.remove_up()
        self._listeners = Listeners(options.host, options.port, self._api_names(), "the API")
        flower_port = claim_port(options.host, options.flower_port, "Flower") if options.with_flower else None
        url = url_of(options.host, self._listeners.port)
        flower_url = None if flower_port is None else url_of(options.host, flower_port)
        secrets = state.secrets(self._settings)
        self._say(Text(f"Kalpi is starting in {state.path}"))
        self._children.set_guard()
        with Steps(self._console) as steps:
            backends = start_backends(self._settings, secrets, state, self._children, steps)
        env = self._env = services.environment(state.path, options.data_file, backends, secrets)
        self._provide_data(env)
        starting = [self._start_core(url, env)]
        if flower_port is not None and flower_url is not None:
            starting.append(self._start_flower(flower_port, flower_url, secrets, env))
        self._wait_until_ready(starting)
        self._up = {
            "url": url,
            "flower_url": flower_url,
            "flower_auth": secrets.flower_auth if flower_url else None,
            "database_url": backends.database_url,
            "redis_url": backends.redis_url,
            "cache_url": backends.cache_url,
            "state_dir": str(state.path),
            "logs_dir": str(self._children.logs_dir),
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "pid": os.getpid(),
        }
        self._write_up()
        summary = Summary(
            url=url,
            flower_url=flower_url,
            flower_auth=secrets.flower_auth,
            state_dir=state.path,
            logs_dir=self._children.logs_dir,
            manifest=ManifestFile(state.path / "market").current(),
            demo_user=_free_username(backends),
            seconds=time.monotonic() - began,
        )
        show(summary, self._console)

    def _provide_data(self, env: Mapping[str, str]) -> None:
        """Publishes the data file. Without one, what was published before is served, or else a sample."""
        options = self._options
        if options.data_file_given or options.data_file.exists():
            step = "publish"
        elif (self._state.path / "market" / MANIFEST).exists():
            return
        else:
            step = "sample"
        command = services.market(step, env)
        code = self._children.run(command, log=False)
        if code == _BAD_INPUT:
            raise AlreadyReported
        if code != 0:
            raise StartupError(f"`python -m worker.market {step}` failed with exit code {code}")

    def _api_names(self) -> list[str]:
        total = self._options.api_processes
        return ["api"] if total == 1 else [f"api-{n}" for n in range(1, total + 1)]

    def _api(self, name: str) -> Command:
        assert self._listeners is not None  # noqa: S101 - made before anything is started
        return services.api(name, self._listeners.descriptor(name), self._metrics_dir, self._env)

    def _start_core(self, url: str, env: Mapping[str, str]) -> Service:
        """API, workers and sweeper. The API's readiness covers the workers: it asks whether one answers."""
        shutil.rmtree(self._metrics_dir, ignore_errors=True)  # counters of processes that are no more
        self._state.folder("metrics")
        commands = [self._api(name) for name in self._api_names()]
        commands += [
            services.worker(self._options.workers, self._metrics_dir, env),
            services.sweeper(self._metrics_dir, env),
        ]
        return Service("API and workers", [self._children.start(c) for c in commands], f"{url}/health/ready")

    def _start_flower(self, port: int, url: str, secrets: Secrets, env: Mapping[str, str]) -> Service:
        folder = self._state.folder("flower")
        command = services.flower(self._options.host, port, folder, secrets.flower_auth, env)
        return Service("Flower", [self._children.start(command)], f"{url}/healthcheck")

    def _wait_until_ready(self, starting: list[Service]) -> None:
        try:
            with Steps(self._console) as steps:
                wait_until_ready(starting, self._children, steps, _READY_SECONDS, self._revive_or_give_up)
        except NotReady as error:
            for child in error.children:
                self._show_log(child)
            raise

    def _revive_or_give_up(self) -> None:
        """During the start, a child that dies again and again will not get better."""
        for child in self._children:
            if child.has_ended() and child.deaths >= _DEATHS:
                self._show_log(child)
                raise StartupError(f"{child.name} {child.why_it_ended()}, as it did {_DEATHS} times before")
        self._revive(in_full=False)

    def supervise(self) -> None:
        """Until StopRequested."""
        while True:
            self._revive(in_full=True)
            for child in self._children:
                child.keep_log_small()
            due = [c.restart_at for c in self._children if c.restart_at is not None]
            wait = min(due) - time.monotonic() if due else _LOOK_AROUND_SECONDS
            self._signals.pause(min(wait, _LOOK_AROUND_SECONDS))

    def _revive(self, *, in_full: bool) -> None:
        """Says what has died and starts it again when its pause is over."""
        for child in list(self._children):
            if child.restart_at is not None:
                if time.monotonic() >= child.restart_at:
                    self._restart(child)
            elif child.has_ended():
                if self._listeners is not None:
                    self._listeners.abandon(child.name)
                pause = child.plan_restart()
                self._say(
                    Text.assemble((child.name, "bold red"), f" {child.why_it_ended()}, starts again in {pause:g} s")
                )
                if in_full:
                    self._show_log(child)
                for file in self._metrics_dir.glob(f"gauge_live*_{child.last_pid}.db"):
                    file.unlink(missing_ok=True)

    def _restart(self, child: Child) -> None:
        try:
            if child.name in self._api_names():
                child.command = self._api(child.name)
            self._children.restart(child)
            self._write_up()
        except (OSError, StartupError) as error:  # no memory or no space left: no reason to take the rest down
            self._say(Text(f"{child.name}: {error}"))
            if child.pid is None:
                child.plan_restart()

    def _show_log(self, child: Child) -> None:
        self._say(Text(f"The end of {child.log}:"))
        for line in child.last_lines(_TAIL):
            self._say(Text(f"    {line}", "dim"))

    def _say(self, text: Text) -> None:
        """One line, however wide."""
        self._console.print(text, soft_wrap=True)

    def _write_up(self) -> None:
        if self._up is not None:
            pids: dict[str, int | list[int]] = dict(self._children.pids())
            apis = [pid for name, pid in sorted(self._children.pids().items()) if name.startswith("api")]
            pids = {name: pid for name, pid in pids.items() if not name.startswith("api")}
            self._state.write_up({**self._up, "pids": {"api": apis, **pids}})

    def stop(self) -> None:
        """The edge first, the databases last, so that nobody loses what they stand on."""
        began = time.monotonic()
        self._signals.stopping = True
        self._state.remove_up()
        if self._listeners is not None:
            self._listeners.close()
        children = list(self._children)
        api = [c for c in children if c.name.startswith("api")]
        backends = [c for c in children if c.name in _BACKENDS]
        others = [c for c in children if c not in api and c not in backends]
        # A worker may be in the middle of a part: it is not waited for, since another start takes the part up again.
        for group, seconds in ((api, _API_SECONDS), (others, _OTHERS_SECONDS), (backends, _BACKENDS_SECONDS)):
            self._children.stop(group, seconds, lambda: self._signals.impatient)
        self._children.close()
        if self._up is not None:
            with suppress(OSError):  # the terminal may be gone
                self._say(Text(f"Stopped after {time.monotonic() - began:.1f} s."))


def _free_username(backends: Backends) -> str:
    """A name the summary's first line can register, however often it was pasted before."""
    engine = make_engine(sqlalchemy_url(backends.database_url), name="kalpi-up")
    try:
        with engine.connect() as connection:
            names = ("demo" if n == 1 else f"demo{n}" for n in count(1))
            return next(name for name in names if find_user(connection, name) is None)
    finally:
        engine.dispose()
