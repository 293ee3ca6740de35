"""Engines: one per process, made where the process starts."""

from sqlalchemy import Engine, create_engine


def make_engine(
    database_url: str, *, pool_size: int = 2, timeout: float = 5, name: str = "kalpi", durable: bool = True
) -> Engine:
    """An engine whose every wait is bounded by `timeout` seconds: for a pooled connection, a new one, a statement.

    With `durable=False` a commit returns before it is on disk: a crash of PostgreSQL may forget the last fraction
    of a second, never a part of a transaction. It connects on first use.
    `name` is what PostgreSQL shows in pg_stat_activity.
    """
    options = f"-c statement_timeout={round(timeout * 1000)} -c timezone=utc"
    if not durable:
        options += " -c synchronous_commit=off"
    return create_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        pool_pre_ping=True,
        connect_args={
            "application_name": name,
            "connect_timeout": max(2, round(timeout)),
            "options": options,
            "keepalives": 1,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": round(timeout * 2000),
        },
    )
