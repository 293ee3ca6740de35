"""Engines: one per process, made where the process starts."""

from sqlalchemy import Engine, create_engine, make_url

_AT_ONCE = " -c synchronous_commit=off"
"""A commit returns before it is on disk: a crash of PostgreSQL may forget the last fraction of a second."""


def make_engine(
    database_url: str, *, pool_size: int = 2, timeout: float = 5, name: str = "kalpi", waits_for_disk: bool = True
) -> Engine:
    """An engine whose every wait is bounded by `timeout` seconds: for a pooled connection, a new one, a statement.

    It connects on first use. `name` is what PostgreSQL shows in pg_stat_activity. Unless it `waits_for_disk`, a crash
    of PostgreSQL may forget the last fraction of a second of what was committed.
    """
    return create_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        pool_pre_ping=True,
        connect_args=_connection(timeout, name, "" if waits_for_disk else _AT_ONCE),
    )


def counting_arguments(database_url: str, *, timeout: float, name: str) -> dict[str, str | int]:
    """What psycopg2 needs for the connection that counts; every statement on it is bounded by `timeout` seconds.

    A statement returns before it is on disk: a crash of PostgreSQL may forget the last fraction of a second.
    """
    plain = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    return {"dsn": plain, **_connection(timeout, name, _AT_ONCE)}


def _connection(timeout: float, name: str, options: str = "") -> dict[str, str | int]:
    milliseconds = round(timeout * 1000)
    return {
        "application_name": name,
        "connect_timeout": max(2, round(timeout)),
        # Whoever stops in the middle of a transaction holds up others for so long, and no longer.
        "options": f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds}"
        f" -c timezone=utc{options}",
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": round(timeout * 2000),
    }
