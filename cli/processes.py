"""The children of `kalpi up`: started in sessions of their own, watched, restarted, stopped, never lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cli.guard import record_process, stop_recorded, wait_for_end

_LONGEST_PAUSE = 30.0
_HEALTHY_AFTER = 60.0
_LOG_BYTES = 50 * 2**20
_POLL = 0.03


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `env` is the whole environment; `fds` are inherited."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stop_signal: signal.Signals = signal.SIGTERM
    fds: tuple[int, ...] = ()


class Child:
    """One command that is meant to run until it is stopped."""

    def __init__(self, command: Command, log: Path) -> None:
        self.command = command
        self.log = log
        self.deaths = 0
        """In a row, without a minute of health between them."""
        self.restart_at: float | None = None
        self._started_at = 0.0
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self.command.name

    @property
    def pid(self) -> int | None:
        """None when it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def last_pid(self) -> int | None:
        """Also after it has ended."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return None if self._process is None else self._process.returncode

    def spawn(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                self.command.argv,
                env=dict(self.command.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self.command.fds,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone
            )
        self._started_at = time.monotonic()
        self.restart_at = None

    def has_ended(self) -> bool:
        """Also ends what is left of its group, so that a crash leaves no grandchildren."""
        if self._process is None or self._process.returncode is not None:
            return True
        if self._process.poll() is None:
            return False
        _kill_group(self._process.pid)
        return True

    def plan_restart(self) -> float:
        """Seconds until the next start: 0.5, 1, 2, … 30."""
        now = time.monotonic()
        if now - self._started_at >= _HEALTHY_AFTER:
            self.deaths = 0
        pause: float = min(_LONGEST_PAUSE, 0.5 * 2.0 ** min(self.deaths, 10))
        self.deaths += 1
        self.restart_at = now + pause
        return pause

    def why_it_ended(self) -> str:
        code = self.exit_code or 0
        if code >= 0:
            return f"exited with code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"

    def last_lines(self, count: int) -> list[str]:
        """The end of what it has logged since its last start."""
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._log_start, size), size - 32_768))
                text = log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        return text.rstrip().splitlines()[-count:]

    def send(self, number: signal.Signals) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            _kill_group(self._process.pid)
            with suppress(subprocess.TimeoutExpired):  # only a process stuck in the kernel outlives SIGKILL
                self._process.wait(2)

    def descendants(self) -> list[psutil.Process]:
        """Everything below it; PostgreSQL's processes are in groups of their own."""
        if self.pid is None:
            return []
        try:
            below: list[psutil.Process] = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return below

    def keep_log_small(self) -> None:
        """Moves a log that has grown large aside; the child appends, so it goes on in the emptied file."""
        with suppress(OSError):
            if self.log.stat().st_size > _LOG_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)


class Children:
    """All of them, and the record from which the guard or the next start ends what a kill has left."""

    def __init__(self, state_dir: Path, pause: Callable[[float], None] = time.sleep) -> None:
        self.pause = pause
        self.logs_dir = state_dir / "logs"
        self._record = state_dir / "children.json"
        self._children: dict[str, Child] = {}
        self._passing: list[tuple[int, signal.Signals]] = []
        self._guard: subprocess.Popen[bytes] | None = None

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children.values())

    def end_leftovers(self) -> int:
        """Ends what an `up` that was killed together with its guard has left in this state folder."""
        return stop_recorded(self._record)

    def set_guard(self) -> None:
        self._write_record()
        self.logs_dir.mkdir(parents=True, exist_ok=True)
        with (self.logs_dir / "guard.log").open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "cli.guard", str(self._record)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self, command: Command) -> Child:
        child = self._children[command.name] = Child(command, self.logs_dir / f"{command.name}.log")
        child.keep_log_small()
        self.restart(child)
        return child

    def restart(self, child: Child) -> None:
        child.spawn()
        self._write_record()

    def forget(self, child: Child) -> None:
        self._children.pop(child.name, None)

    def run(self, command: Command, *, log: bool) -> int:
        """Runs a command to its end and returns its exit code; its output goes to a log or to the terminal."""
        with (self.logs_dir / f"{command.name}.log").open("ab") if log else nullcontext() as out:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command.argv,
                env=dict(command.env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        entry = (process.pid, command.stop_signal)
        self._passing.append(entry)
        self._write_record()
        try:
            while process.poll() is None:
                self.pause(_POLL)
        finally:
            if process.poll() is None:
                _kill_group(process.pid)
                process.wait()
            self._passing.remove(entry)
            self._write_record()
        return process.returncode

    def stop(self, children: Iterable[Child], seconds: float, impatient: Callable[[], bool] = lambda: False) -> None:
        """Asks them to end, waits up to `seconds`, then kills them and everything they have started."""
        stopping = [c for c in children if not c.has_ended()]
        family = [p for c in stopping for p in c.descendants()]
        for child in stopping:
            child.send(child.command.stop_signal)
        deadline = time.monotonic() + seconds
        while not all(c.has_ended() for c in stopping) and time.monotonic() < deadline and not impatient():
            self.pause(_POLL)
        for child in stopping:
            family += child.descendants()
            child.kill()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        wait_for_end(family, 2)
        self._write_record()

    def close(self) -> None:
        """Stops whatever still runs and sends the guard home."""
        self.stop(list(self._children.values()), 2)
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(5)

    def pids(self) -> dict[str, int]:
        return {c.name: c.pid for c in self._children.values() if c.pid is not None}

    def _write_record(self) -> None:
        running = [(c.pid, c.command.stop_signal) for c in self._children.values() if c.pid is not None]
        entries = [record_process(pid, number) for pid, number in (*running, *self._passing)]
        new = self._record.with_suffix(".new")
        new.write_text(json.dumps(entries))
        new.replace(self._record)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
