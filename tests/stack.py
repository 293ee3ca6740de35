"""A whole stack for a test: `kalpi up` as an operator starts it, in a folder of its own, on free ports."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
KALPI = (sys.executable, "-m", "cli")
MARK = "KALPI_TEST_MARK"
"""Every process of a stack carries it in its environment, so that what is left behind is found, orphans included."""

PASSWORD = "correct horse"
START_SECONDS = 150


@dataclass(frozen=True)
class Account:
    username: str
    password: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Stack:
    """A `kalpi up` that is ready. `up` is its up.json, read anew each time: process ids change."""

    def __init__(self, state_dir: Path, options: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> None:
        self.state_dir = state_dir
        self.mark = uuid.uuid4().hex
        self.output_file = state_dir.with_name(f"{state_dir.name}.{self.mark[:8]}.out")
        command = [*KALPI, "up", "--port", "0", "--flower-port", "0", "--state-dir", str(state_dir), *options]
        with self.output_file.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(env or {}), MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> "Stack":
        deadline = time.monotonic() + START_SECONDS
        while not (self.state_dir / "up.json").exists() or "Kalpi is ready" not in self.output:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"kalpi up did not start:\n{self.output}\n{self.logs}")
            time.sleep(0.05)
        return self

    @property
    def output(self) -> str:
        return self.output_file.read_text(errors="replace")

    @property
    def logs(self) -> str:
        files = sorted((self.state_dir / "logs").glob("*.log"))
        return "\n".join(f"--- {f.name}\n{f.read_text(errors='replace')[-3000:]}" for f in files)

    @property
    def up(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.state_dir / "up.json").read_text())
        return content

    @cached_property
    def url(self) -> str:
        return str(self.up["url"])

    @cached_property
    def flower_url(self) -> str:
        return str(self.up["flower_url"])

    def pid(self, name: str) -> int:
        pid = self.up["pids"][name]
        return int(pid[0] if isinstance(pid, list) else pid)

    def client(self, account: Account | None = None) -> httpx.Client:
        headers = account.headers if account is not None else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=90)

    def create_user(self, tier: str = "free", username: str | None = None) -> Account:
        """Made by `kalpi users create`, signed in over HTTP."""
        name = username or f"{tier}-{uuid.uuid4().hex[:10]}"
        run_kalpi(
            "users", "create", name, "--tier", tier, "--password-stdin", "--state-dir", self.state_dir, stdin=PASSWORD
        ).check_returncode()
        with self.client() as client:
            answer = client.post("/v1/auth/token", data={"username": name, "password": PASSWORD})
        answer.raise_for_status()
        return Account(name, PASSWORD, answer.json()["access_token"])

    def processes(self) -> list[psutil.Process]:
        """Whatever of this stack runs, wherever it hangs in the tree."""
        return marked_processes(self.mark)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Ends it the way an operator does; returns how many seconds that took."""
        before = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(30)
        finally:
            self.kill()
        return time.monotonic() - before

    def kill(self) -> None:
        """Leaves nothing, whatever has happened."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for process in wait_for_no_process(self.mark, 8):
            process.kill()


@contextmanager
def started(state_dir: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A stack of a test's own."""
    stack = Stack(state_dir, options, env)
    try:
        yield stack.wait_until_ready()
    finally:
        stack.stop()


def run_kalpi(
    *words: str | Path, stdin: str | None = None, env: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs a `kalpi` command to its end."""
    return subprocess.run(
        [*KALPI, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def write_sample(file: Path, symbols: int = 20, *options: str) -> Path:
    """A data file of `kalpi data sample`."""
    command = [sys.executable, "-m", "worker.market", "sample", "--symbols", str(symbols), "--out", str(file), *options]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return file


def marked_processes(mark: str, name: str = MARK) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return [p for p in found if p.pid != os.getpid()]


def wait_for_no_process(mark: str, seconds: float, name: str = MARK) -> list[psutil.Process]:
    """What still runs after that long."""
    deadline = time.monotonic() + seconds
    while (left := marked_processes(mark, name)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
