"""Starting, watching and ending processes, without the servers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cli import guard, unprivileged
from cli.processes import Children, Command
from cli.signals import Signals, StopRequested

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
# A child that ignores SIGTERM and has a child of its own.
_STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print(p.pid, flush=True);"
    "time.sleep(600)"
)
STUBBORN = (sys.executable, "-c", _STUBBORN)


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    made = Children(tmp_path)
    yield made
    made.close()


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_child_that_ends_is_noticed_with_its_last_words(children: Children) -> None:
    child = children.start(Command("x", (sys.executable, "-c", "print('one'); print('two'); raise SystemExit(3)")))
    wait_for(child.has_ended)
    assert child.why_it_ended() == "exited with code 3"
    assert child.last_lines(1) == ["two"]


def test_last_lines_are_those_of_the_last_start(children: Children) -> None:
    child = children.start(Command("x", (sys.executable, "-c", "print('said')")))
    wait_for(child.has_ended)
    children.restart(child)
    wait_for(child.has_ended)
    assert child.last_lines(15) == ["said"]


def test_a_killed_child_is_named_by_its_signal(children: Children) -> None:
    child = children.start(Command("x", SLEEP))
    child.send(signal.SIGKILL)
    wait_for(child.has_ended)
    assert child.why_it_ended() == "was killed by SIGKILL"


def test_pauses_grow_to_half_a_minute(children: Children) -> None:
    child = children.start(Command("x", SLEEP))
    assert [child.plan_restart() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_health_makes_the_pause_short_again(children: Children) -> None:
    child = children.start(Command("x", SLEEP))
    for _ in range(5):
        child.plan_restart()
    child._started_at -= 61
    assert child.plan_restart() == 0.5


def test_stop_takes_grandchildren_along(children: Children) -> None:
    child = children.start(Command("x", STUBBORN))
    wait_for(lambda: child.last_lines(1))
    grandchild = psutil.Process(int(child.last_lines(1)[0]))
    before = time.monotonic()
    children.stop([child], 0.3)
    assert time.monotonic() - before < 3
    assert child.has_ended()
    wait_for(lambda: not guard.is_alive(grandchild))


def test_a_crash_takes_grandchildren_along(children: Children) -> None:
    child = children.start(Command("x", STUBBORN))
    wait_for(lambda: child.last_lines(1))
    grandchild = psutil.Process(int(child.last_lines(1)[0]))
    child.send(signal.SIGKILL)
    wait_for(child.has_ended)
    wait_for(lambda: not guard.is_alive(grandchild))


def test_impatience_ends_the_wait(children: Children) -> None:
    child = children.start(Command("x", STUBBORN))
    wait_for(lambda: child.last_lines(1))
    before = time.monotonic()
    children.stop([child], 60, impatient=lambda: True)
    assert time.monotonic() - before < 3


def test_large_logs_are_moved_aside(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.processes._LOG_BYTES", 3)
    child = children.start(Command("x", (sys.executable, "-c", "print('long')")))
    wait_for(child.has_ended)
    child.keep_log_small()
    assert child.log.read_text() == ""
    assert child.log.with_suffix(".log.1").read_text() == "long\n"


def test_the_guard_ends_what_a_killed_supervisor_leaves(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from cli.processes import Children, Command;"
        "c = Children(Path(sys.argv[1])); c.set_guard(); c.start(Command('x', [sys.executable, '-c', sys.argv[2]]));"
        "print(c.pids()['x'], c._guard.pid, flush=True); time.sleep(600)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), STUBBORN[2]], stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    with supervisor.stdout:
        pids = [int(n) for n in supervisor.stdout.readline().split()]
    log = tmp_path / "logs" / "x.log"
    wait_for(lambda: log.read_text().strip())
    left = [psutil.Process(pid) for pid in (*pids, int(log.read_text()))]
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: not any(map(guard.is_alive, left)))


def test_the_record_does_not_end_a_stranger_with_the_same_id(tmp_path: Path) -> None:
    record = tmp_path / "children.json"
    record.write_text(json.dumps([[os.getpid(), time.time() - 86_400, int(signal.SIGKILL)]]))
    assert guard.stop_recorded(record) == 0


def test_a_damaged_record_is_no_obstacle(tmp_path: Path) -> None:
    record = tmp_path / "children.json"
    record.write_text("[[1,")
    assert guard.stop_recorded(record) == 0


def test_signals_are_raised_where_the_loop_waits() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopRequested):
            signals.pause(10)
        signals.stopping = True
        signals.pause(0)
        assert not signals.impatient


def test_only_a_second_keystroke_is_impatient() -> None:
    with Signals() as signals:
        signals.stopping = True
        for _ in range(2):  # make and the terminal: one keystroke
            os.kill(os.getpid(), signal.SIGINT)
            signals.pause(0.01)
        assert not signals.impatient
        signals._interrupted_at -= 1
        os.kill(os.getpid(), signal.SIGINT)
        signals.pause(0.01)
        assert signals.impatient


def test_a_childs_death_wakes_the_loop() -> None:
    with Signals() as signals:
        process = subprocess.Popen([sys.executable, "-c", ""])
        before = time.monotonic()
        signals.pause(20)
        assert time.monotonic() - before < 10
        process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_launcher_is_nobody_and_still_reads_behind_closed_folders(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("read")
    file = str(closed / "file")
    # access(2) judges by the real user: initdb asks it for its programs.
    program = (
        f"import os; print(os.getuid(), os.geteuid(), os.getgroups(), open({file!r}).read(), os.access({file!r}, 4))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", unprivileged.__file__, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    uid, _ = unprivileged.nobody()
    assert done.stdout.split() == [str(uid), str(uid), "[]", "read", "True"], done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_launcher_cannot_write_what_is_not_its_own(tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'new')!r}, 'w')"
    command = [sys.executable, "-I", "-S", unprivileged.__file__, sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr


def test_the_launcher_says_in_one_line_what_it_cannot_run(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", unprivileged.__file__, str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("cannot run ")
    assert done.stderr.count("\n") == 1
