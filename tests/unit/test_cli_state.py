"""The state folder, ports, commands and what the summary prints."""

import json
import os
import shlex
import socket
import stat
import subprocess
import sys
from datetime import date
from io import StringIO
from pathlib import Path
from types import MappingProxyType

import pytest
from pydantic import SecretStr
from rich.console import Console

from cli import services
from cli.listening import Listeners, claim_port, listen, port_of, url_of
from cli.services import Backends
from cli.state import Secrets, StateDir, read_up, write_private
from cli.summary import DEMO_PASSWORD, Summary, curl_lines, show
from common.dataset import Manifest, SymbolInfo
from common.errors import StartupError
from common.settings import Settings
from common.version import ENGINE_VERSION


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    first = state.secrets(Settings())
    assert StateDir(tmp_path / "state").secrets(Settings()) == first
    file = tmp_path / "state" / "secrets.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(first.secret_key) >= 32
    assert len(set(json.loads(file.read_text()).values())) == 4


def test_the_environment_goes_before_what_was_generated(tmp_path: Path) -> None:
    settings = Settings(secret_key=SecretStr("k" * 40), flower_basic_auth=SecretStr("me:mine"))
    secrets = StateDir(tmp_path).secrets(settings)
    assert (secrets.secret_key, secrets.flower_auth) == ("k" * 40, "me:mine")
    assert "kkkk" not in (tmp_path / "secrets.json").read_text()


def test_damaged_secrets_are_named(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(StartupError, match=r"secrets\.json is damaged"):
        StateDir(tmp_path).secrets(Settings())


def test_a_new_state_folder_is_private(tmp_path: Path) -> None:
    StateDir(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_state_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="cannot be used"):
        StateDir(tmp_path / "file" / "state")


def test_one_up_at_a_time(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.lock()
    with pytest.raises(StartupError, match=rf"in use by another `kalpi up` \(process {os.getpid()}\)"):
        StateDir(tmp_path).lock()


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from cli.state import StateDir; StateDir(Path(sys.argv[1])).lock()"
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    StateDir(tmp_path).lock()


def test_private_files_are_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "up.json"
    file.write_text("{}")
    file.chmod(0o644)
    write_private(file, {"url": "http://x"})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_up(tmp_path) == {"url": "http://x"}
    assert sorted(f.name for f in tmp_path.iterdir()) == ["up.json"]


def test_no_up_no_content(tmp_path: Path) -> None:
    assert read_up(tmp_path) is None


def test_a_taken_port_is_one_line() -> None:
    with listen("127.0.0.1", 0, "the API") as taken:
        port = port_of(taken)
        with pytest.raises(StartupError, match=f"the API cannot listen on 127.0.0.1 port {port}: address already"):
            listen("127.0.0.1", port, "the API")
        with pytest.raises(StartupError, match="Flower cannot listen"):
            claim_port("127.0.0.1", port, "Flower")
    assert claim_port("127.0.0.1", port, "Flower") == port


def test_processes_share_a_port_that_nobody_else_gets() -> None:
    listeners = Listeners("127.0.0.1", 0, ["api-1", "api-2"], "the API")
    one, two = (socket.socket(fileno=os.dup(listeners.descriptor(name))) for name in ("api-1", "api-2"))
    with one, two:
        assert one.getsockname() == two.getsockname() == ("127.0.0.1", listeners.port)
        with pytest.raises(StartupError, match="address already in use"):
            Listeners("127.0.0.1", listeners.port, ["api-1", "api-2"], "the API")
    listeners.abandon("api-1")
    two = socket.socket(fileno=os.dup(listeners.descriptor("api-2")))
    two.settimeout(5)
    with two:
        for _ in range(20):  # all of them come to the one that is left
            with socket.create_connection(("127.0.0.1", listeners.port)), two.accept()[0]:
                pass
    assert listeners.descriptor("api-1") >= 0
    listeners.close()


def test_a_lone_process_keeps_its_connections_while_it_is_away() -> None:
    listeners = Listeners("127.0.0.1", 0, ["api"], "the API")
    listeners.abandon("api")
    with socket.create_connection(("127.0.0.1", listeners.port)):
        pass
    listeners.close()


def test_an_unknown_host_is_one_line() -> None:
    with pytest.raises(StartupError, match=r"cannot listen on 'no\.such\.host\.invalid'"):
        listen("no.such.host.invalid", 0, "the API")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("example.com", "http://example.com:80"),
    ],
)
def test_urls_are_ones_a_client_can_use(host: str, url: str) -> None:
    assert url_of(host, 80) == url


SECRETS = Secrets("k" * 40, "kalpi:flower-secret", "db-secret", "redis-secret")
BACKENDS = Backends("postgresql://u:db-secret@h/d", "redis://:redis-secret@h/0", "redis://:redis-secret@h/1")


def test_no_secret_is_on_a_command_line(tmp_path: Path) -> None:
    env = services.environment(tmp_path, tmp_path / "f.parquet", BACKENDS, SECRETS)
    commands = [
        services.market("publish", env),
        services.api("api", 3, tmp_path, env),
        services.worker(2, tmp_path, env),
        services.sweeper(tmp_path, env),
        services.flower("127.0.0.1", 5555, tmp_path, SECRETS.flower_auth, env),
    ]
    words = " ".join(" ".join(command.argv) for command in commands).replace(str(tmp_path), "")
    assert "-secret" not in words
    assert "k" * 40 not in words


def test_flower_gets_its_login_and_not_the_signing_key(tmp_path: Path) -> None:
    env = services.environment(tmp_path, tmp_path / "f.parquet", BACKENDS, SECRETS)
    flower = services.flower("127.0.0.1", 5555, tmp_path, SECRETS.flower_auth, env)
    assert flower.env["FLOWER_BASIC_AUTH"] == "kalpi:flower-secret"
    assert "KALPI_SECRET_KEY" not in flower.env
    assert "PROMETHEUS_MULTIPROC_DIR" not in flower.env


def test_the_operators_numba_cache_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/mine")
    assert services.environment(tmp_path, tmp_path, BACKENDS, SECRETS)["NUMBA_CACHE_DIR"] == "/mine"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert services.environment(tmp_path, tmp_path, BACKENDS, SECRETS)["NUMBA_CACHE_DIR"] == str(
        tmp_path / "numba" / ENGINE_VERSION
    )


def _manifest(*symbols: str) -> Manifest:
    day = date(2025, 9, 30)
    infos = {s: SymbolInfo(s, day, day, 1) for s in symbols}
    return Manifest("v1", day, len(symbols), True, MappingProxyType({}), MappingProxyType(infos))


def test_the_summary_is_not_broken_in_a_narrow_terminal() -> None:
    out = StringIO()
    state_dir = Path("/a/very/long/path" * 8)
    summary = Summary(
        url="http://127.0.0.1:8000",
        flower_url="http://127.0.0.1:5555",
        flower_auth="kalpi:pass",
        state_dir=state_dir,
        logs_dir=state_dir / "logs",
        manifest=_manifest("M&M"),
        demo_user="demo",
        seconds=3.2,
    )
    show(summary, Console(file=out, width=80, force_terminal=True, color_system=None))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    for curl in curl_lines("http://127.0.0.1:8000", "demo", "M&M"):
        assert curl in lines
    assert any(line.endswith(str(state_dir / "logs")) for line in lines)
    assert any("login kalpi, password pass" in line for line in lines)
    assert any("synthetic" in line for line in lines)


def test_the_curl_lines_are_ones_a_shell_reads() -> None:
    register, token, value = curl_lines("http://h:1", "demo", "M&M")
    assert shlex.split(register)[-1] == f'{{"username":"demo","password":"{DEMO_PASSWORD}"}}'
    assert token.startswith("TOKEN=$(curl ")
    assert shlex.split(value)[-1] == "http://h:1/v1/indicators/sma/values?symbol=M%26M&period=20"
