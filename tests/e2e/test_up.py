"""`kalpi up` as an operator meets it: start, stop, crash, and start again."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg2
import pytest
import redis

from cli.unprivileged import nobody
from tests.stack import PASSWORD, ROOT, Account, Stack, run_kalpi, started, wait_for_no_process

StartStack = Callable[..., Stack]
STOP_SECONDS = 10


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


def sign_in(stack: Stack, account: Account) -> None:
    with stack.client() as client:
        client.post("/v1/auth/token", data={"username": account.username, "password": PASSWORD}).raise_for_status()


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One clear line on stderr, exit code 2."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


class TestRunningStack:
    """What holds of a stack that is up; nothing here disturbs it."""

    def test_every_part_answers(self, stack: Stack) -> None:
        with stack.client() as client:
            assert client.get("/health/live").status_code == 200
            ready = client.get("/health/ready")
            assert ready.status_code == 200, ready.text
            assert client.get("/docs").status_code == 200

    def test_flower_asks_for_its_login(self, stack: Stack) -> None:
        assert httpx.get(f"{stack.flower_url}/healthcheck").status_code == 200
        assert httpx.get(f"{stack.flower_url}/workers").status_code == 401
        user, _, password = stack.up["flower_auth"].partition(":")
        assert httpx.get(f"{stack.flower_url}/workers", auth=(user, password)).status_code == 200

    def test_flower_sees_tasks(self, stack: Stack) -> None:
        user, _, password = stack.up["flower_auth"].partition(":")
        deadline = time.monotonic() + 15
        with stack.client() as client:
            while True:
                client.get("/health/ready")  # sends a probe through the queue, once a second at most
                tasks = httpx.get(f"{stack.flower_url}/api/tasks", auth=(user, password)).json()
                if "kalpi.probe" in {task["name"] for task in tasks.values()}:
                    return
                assert time.monotonic() < deadline, tasks
                time.sleep(0.5)

    def test_up_json_says_where_all_is_and_is_private(self, stack: Stack) -> None:
        up = stack.up
        file = stack.state_dir / "up.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert up["pid"] == stack.process.pid
        names = {"api", "worker", "sweeper", "flower", "postgres", "redis"}
        assert set(up["pids"]) == names
        assert all(psutil.pid_exists(stack.pid(name)) for name in names)
        psycopg2.connect(up["database_url"]).close()
        for url in (up["redis_url"], up["cache_url"]):
            with redis.Redis.from_url(url) as client:
                assert client.ping()
        assert (up["state_dir"], up["logs_dir"]) == (str(stack.state_dir), str(stack.state_dir / "logs"))

    def test_the_databases_want_a_password_and_listen_here_alone(self, stack: Stack) -> None:
        url = urlsplit(stack.up["database_url"])
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(host=url.hostname, port=url.port, user=url.username, password="guess", dbname="postgres")
        place = urlsplit(stack.up["redis_url"])
        assert place.hostname == "127.0.0.1"
        with socket.create_connection(("127.0.0.1", place.port or 0), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            assert connection.recv(100).startswith(b"-NOAUTH")
        for name in ("postgres", "redis"):
            addresses = {c.laddr.ip for c in psutil.Process(stack.pid(name)).net_connections() if c.status == "LISTEN"}
            assert addresses == {"127.0.0.1"}

    def test_redis_keeps_messages_and_lets_answers_go(self, stack: Stack) -> None:
        with redis.Redis.from_url(stack.up["redis_url"], decode_responses=True) as client:
            wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "volatile-lru"}
            assert {k: v for name in wanted for k, v in client.config_get(name).items()} == wanted

    def test_no_secret_is_in_the_process_list_or_in_a_log(self, stack: Stack) -> None:
        secrets = [urlsplit(stack.up[key]).password for key in ("database_url", "redis_url")]
        secrets.append(stack.up["flower_auth"].partition(":")[2])
        shown = "\n".join(" ".join(p.cmdline()) for p in stack.processes()) + stack.logs
        assert [s for s in secrets if s in shown] == []

    def test_postgresql_logs_no_values(self, stack: Stack) -> None:
        mark = uuid.uuid4().hex
        connection = psycopg2.connect(stack.up["database_url"])
        table = "CREATE TEMPORARY TABLE marks (name text UNIQUE, digest text NOT NULL)"
        for values in (f"('{mark}', '{mark}')", f"('{mark}', NULL)"):
            with connection, connection.cursor() as cursor, pytest.raises(psycopg2.IntegrityError, match=mark):
                cursor.execute(f"{table}; INSERT INTO marks VALUES ('{mark}', ''), {values}")
        connection.close()
        log = (stack.state_dir / "logs" / "postgres.log").read_text()
        assert "violates unique constraint" in log
        assert mark not in log

    @pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's PostgreSQL is that user's")
    def test_postgresql_is_not_root(self, stack: Stack) -> None:
        server = psutil.Process(stack.pid("postgres"))
        assert {p.uids().real for p in (server, *server.children())} == {nobody()[0]}

    def test_the_curl_lines_work_when_pasted(self, stack: Stack) -> None:
        lines = [line for line in stack.output.splitlines() if "curl" in line]
        assert len(lines) == 3
        done = subprocess.run(["sh", "-e"], input="\n".join(lines), capture_output=True, text=True, check=True)
        registered, value = done.stdout.strip().splitlines()
        assert '"username":"demo"' in registered.replace(" ", "")
        assert '"indicator":"sma"' in value.replace(" ", "")

    def test_a_second_up_on_the_same_folder_is_refused(self, stack: Stack) -> None:
        done = run_kalpi("up", "--port", "0", "--flower-port", "0", "--state-dir", stack.state_dir)
        assert_refused(done, str(stack.state_dir), "in use", str(stack.process.pid))
        with stack.client() as client:
            assert client.get("/health/ready").status_code == 200

    def test_a_port_in_use_is_refused(self, stack: Stack, state_dir: Path) -> None:
        port = urlsplit(stack.url).port
        done = run_kalpi("up", "--port", str(port), "--flower-port", "0", "--state-dir", state_dir)
        assert_refused(done, str(port), "in use")
        flower = urlsplit(stack.flower_url).port
        done = run_kalpi("up", "--port", "0", "--flower-port", str(flower), "--state-dir", state_dir)
        assert_refused(done, "Flower", str(flower), "in use")


class TestUsers:
    def test_create_list_and_move(self, stack: Stack) -> None:
        account = stack.create_user("pro")
        sign_in(stack, account)
        listed = run_kalpi("users", "list", "--state-dir", stack.state_dir, env={"COLUMNS": "120"})
        assert account.username in listed.stdout
        done = run_kalpi("users", "set-tier", account.username, "premium", "--state-dir", stack.state_dir)
        assert done.stdout.strip() == f"{account.username} is premium now."
        with stack.client(account) as client:
            assert client.get("/v1/me").json()["tier"] == "premium"

    @pytest.mark.parametrize(
        ("words", "password", "reason"),
        [
            (("create", "x"), PASSWORD, "username"),
            (("create", "short-password"), "short", "password"),
            (("set-tier", "nobody-here", "pro"), "", "nobody-here"),
        ],
    )
    def test_what_cannot_be_done_is_one_line(
        self, stack: Stack, words: tuple[str, ...], password: str, reason: str
    ) -> None:
        stdin = ("--password-stdin",) if words[0] == "create" else ()
        done = run_kalpi("users", *words, *stdin, "--state-dir", stack.state_dir, stdin=password)
        assert_refused(done, reason)

    def test_a_taken_name_is_one_line(self, stack: Stack) -> None:
        account = stack.create_user()
        words = ("users", "create", account.username.upper(), "--password-stdin", "--state-dir", stack.state_dir)
        assert_refused(run_kalpi(*words, stdin=PASSWORD), "taken")

    def test_without_a_stack_it_says_so(self, tmp_path: Path) -> None:
        assert_refused(run_kalpi("users", "list", "--state-dir", tmp_path), "KALPI_DATABASE_URL is not set")


class TestRefusedStarts:
    """One line, exit code 2, nothing left running."""

    @pytest.fixture(autouse=True)
    def nothing_runs_afterwards(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
        monkeypatch.setenv("KALPI_TEST_START", tmp_path.name)
        yield
        assert wait_for_no_process(tmp_path.name, 0, "KALPI_TEST_START") == []

    def up(self, state_dir: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
        words = ("up", "--port", "0", "--flower-port", "0", "--state-dir", state_dir, *options)
        return run_kalpi(*words, env=env)

    def test_a_data_file_that_is_missing(self, state_dir: Path) -> None:
        assert_refused(self.up(state_dir, "--data", "/no/such.parquet"), "/no/such.parquet")
        assert_refused(self.up(state_dir, KALPI_DATA_FILE="/no/such.parquet"), "/no/such.parquet")

    def test_a_data_file_that_is_wrong(self, state_dir: Path, tmp_path: Path) -> None:
        wrong = tmp_path / "wrong.parquet"
        wrong.write_bytes(b"not a Parquet file")
        assert_refused(self.up(state_dir, "--data", str(wrong)), str(wrong))
        assert not (state_dir / "up.json").exists()

    def test_a_state_folder_that_cannot_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert_refused(self.up(tmp_path / "file" / "state"), "cannot be used")

    def test_a_database_that_does_not_answer(self, state_dir: Path, sample_file: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        url = f"postgresql://u:hidden-word@127.0.0.1:{port}/d"
        done = self.up(state_dir, "--data", str(sample_file), KALPI_DATABASE_URL=url)
        assert_refused(done, f"cannot reach PostgreSQL at 127.0.0.1:{port}")
        assert "hidden-word" not in done.stdout + done.stderr

    def test_a_redis_that_does_not_answer(self, state_dir: Path, sample_file: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        done = self.up(
            state_dir, "--data", str(sample_file), KALPI_REDIS_URL=f"redis://:hidden-word@127.0.0.1:{port}/0"
        )
        assert_refused(done, f"cannot reach Redis at 127.0.0.1:{port}")
        assert "hidden-word" not in done.stdout + done.stderr

    @pytest.mark.parametrize(
        ("name", "value"), [("KALPI_PORT", "high"), ("KALPI_SECRET_KEY", "short"), ("KALPI_DATABASE_URL", "mysql://x")]
    )
    def test_a_setting_that_is_wrong(self, state_dir: Path, name: str, value: str) -> None:
        assert_refused(self.up(state_dir, **{name: value}), name)


class TestStopAndStartAgain:
    def test_a_second_start_finds_users_and_data(self, started_stack: StartStack, state_dir: Path) -> None:
        first = started_stack(state_dir=state_dir)
        account = first.create_user("pro")
        with first.client(account) as client:
            before = client.get("/v1/symbols").json()
        assert first.stop(signal.SIGTERM) < STOP_SECONDS
        assert first.process.returncode == 0
        assert first.processes() == []
        assert not (state_dir / "up.json").exists()

        second = started_stack(state_dir=state_dir)
        sign_in(second, account)
        with second.client(account) as client:
            assert client.get("/v1/symbols").json() == before
            assert client.get("/v1/me").json()["tier"] == "pro"
        assert second.stop(signal.SIGINT) < STOP_SECONDS
        assert second.process.returncode == 0
        assert second.processes() == []

    def test_sigkill_leaves_nothing_and_the_next_start_works(self, started_stack: StartStack, state_dir: Path) -> None:
        first = started_stack("--no-flower", state_dir=state_dir)
        account = first.create_user()
        assert first.up["flower_url"] is None
        first.process.kill()
        first.process.wait()
        assert wait_for_no_process(first.mark, STOP_SECONDS) == []

        second = started_stack("--no-flower", state_dir=state_dir)
        sign_in(second, account)

    def test_what_died_with_its_guard_is_ended_by_the_next_start(
        self, started_stack: StartStack, state_dir: Path
    ) -> None:
        first = started_stack("--no-flower", state_dir=state_dir)
        account = first.create_user()
        for process in first.processes():
            if "cli.guard" in process.cmdline():
                process.kill()
        first.process.kill()
        first.process.wait()
        assert first.processes() != []

        second = started_stack("--no-flower", state_dir=state_dir)
        assert first.processes() == []
        sign_in(second, account)

    def test_ctrl_c_during_the_start(self, state_dir: Path, sample_file: Path) -> None:
        for delay in (0.4, 1.2, 2):
            stack = Stack(state_dir, ("--data", str(sample_file)))
            time.sleep(delay)
            assert stack.stop(signal.SIGINT) < STOP_SECONDS
            assert stack.process.returncode in {0, 130, -signal.SIGINT}, stack.output
            assert "Traceback" not in stack.output
            assert stack.processes() == []

    def test_half_made_files_of_postgresql_are_made_again(self, started_stack: StartStack, state_dir: Path) -> None:
        half = state_dir / "postgres" / "data.new"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        started_stack("--no-flower", state_dir=state_dir)


@pytest.fixture(scope="class")
def own(tmp_path_factory: pytest.TempPathFactory, sample_file: Path) -> Iterator[Stack]:
    options = ("--data", str(sample_file), "--api-processes", "2")
    with started(tmp_path_factory.mktemp("deaths") / "state", *options) as stack:
        yield stack


class TestDeaths:
    """One stack of its own: its children are killed one after the other."""

    @pytest.mark.parametrize("name", ["worker", "api", "sweeper", "flower", "redis", "postgres"])
    def test_a_child_that_dies_is_named_and_started_again(self, own: Stack, name: str) -> None:
        pid = own.pid(name)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while own.pid(name) == pid or not self._ready(own):
            assert time.monotonic() < deadline, own.output[-2000:]
            time.sleep(0.1)
        said = own.output
        assert "was killed by SIGKILL, starts again in" in said
        assert f"{name}-1 was killed" in said if name == "api" else f"{name} was killed" in said
        assert f"The end of {own.state_dir}/logs/{name}" in said

    @staticmethod
    def _ready(stack: Stack) -> bool:
        try:
            answers = [httpx.get(f"{stack.url}/health/ready", timeout=10), httpx.get(f"{stack.flower_url}/healthcheck")]
        except httpx.HTTPError:
            return False
        return all(a.status_code == 200 for a in answers)


class TestExistingServers:
    def test_the_operators_servers_are_used(
        self, started_stack: StartStack, database: str, redis_url: str, state_dir: Path
    ) -> None:
        env = {"KALPI_DATABASE_URL": database.replace("+psycopg2", ""), "KALPI_REDIS_URL": redis_url}
        stack = started_stack("--no-flower", state_dir=state_dir, env=env)
        assert set(stack.up["pids"]) == {"api", "worker", "sweeper"}
        assert not (state_dir / "postgres").exists()
        done = run_kalpi("users", "create", "Ada", "--password-stdin", env=env, stdin=PASSWORD)
        assert done.stdout == "Created Ada (free).\n", done.stderr

    def test_migrate(self, database: str) -> None:
        done = run_kalpi("migrate", env={"KALPI_DATABASE_URL": database})
        assert done.returncode == 0, done.stderr
        assert_refused(run_kalpi("migrate"), "KALPI_DATABASE_URL is not set")


class TestWhoStartsIt:
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as somebody else")
    def test_an_ordinary_user(self, sample_file: Path) -> None:
        """The interpreter may lie where only root can go, so the user may read there; nothing else is root's."""
        uid, gid = nobody()
        folder = Path(tempfile.mkdtemp())  # pytest's own folders are root's alone
        try:
            self._start_and_stop(folder, sample_file, uid, gid)
        finally:
            shutil.rmtree(folder)

    @staticmethod
    def _start_and_stop(folder: Path, sample_file: Path, uid: int, gid: int) -> None:
        data = Path(shutil.copy(sample_file, folder))
        for path in (folder, data):
            os.chown(path, uid, gid)
        launcher = ROOT / "cli" / "unprivileged.py"
        words = ("up", "--no-flower", "--port", "0", "--state-dir", str(folder / "state"), "--data", str(data))
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(launcher), sys.executable, "-m", "cli", *words],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
            | {"HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = ""
        with process.stdout:
            while "nothing is lost" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            running = psutil.Process(process.pid).children(recursive=True)
            assert {p.uids().real for p in running} == {uid}
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
        assert process.returncode == 0
        assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in running)


def test_data_is_handed_on_with_its_help_and_exit_code() -> None:
    helped = run_kalpi("data", "--help")
    assert helped.returncode == 0
    assert "import" in helped.stdout
    assert run_kalpi("data", "import", "/no/such.csv").returncode == 2
