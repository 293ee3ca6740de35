"""`kalpi users …`: the operator's hand on accounts and tiers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, ProgrammingError

from cli.backends import sqlalchemy_url
from cli.state import read_up
from common import accounts
from common.db.session import make_engine
from common.errors import StartupError
from common.passwords import check_password_rules, hash_password
from common.settings import Settings
from common.tiers import TierName

app = typer.Typer(help="Create users, list them, move them between tiers.", no_args_is_help=True)

StateDir = Annotated[Path | None, typer.Option(help="State folder of the running `kalpi up` to talk to.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="3 to 64 of A-Z a-z 0-9 . _ -")],
    tier: Annotated[TierName, typer.Option(help="What the user may ask for.")] = TierName.FREE,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from a pipe.")] = False,
    state_dir: StateDir = None,
) -> None:
    """Create a user; the password is asked for, or read from standard input."""
    settings = Settings()
    with _connection(settings, state_dir) as connection:
        if password_stdin:
            password = sys.stdin.readline().rstrip("\r\n")
        else:
            password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        check_password_rules(password)
        user = accounts.create_user(connection, name, hash_password(password, settings.bcrypt_rounds), tier)
    typer.echo(f"Created {user.username} ({user.tier.value}).")


@app.command("set-tier")
def set_tier(name: str, tier: TierName, state_dir: StateDir = None) -> None:
    """Move a user to a tier; it holds from the user's next request."""
    with _connection(Settings(), state_dir) as connection:
        user = accounts.set_tier(connection, name, tier)
    typer.echo(f"{user.username} is {user.tier.value} now.")


@app.command("list")
def list_users(state_dir: StateDir = None) -> None:
    """List all users, oldest first."""
    with _connection(Settings(), state_dir) as connection:
        users = accounts.list_users(connection)
    table = Table("id", "username", "tier", "requests today", "created")
    for user in users:
        created = f"{user.created_at:%Y-%m-%d %H:%M}"
        table.add_row(str(user.id), user.username, user.tier.value, str(user.requests_today), created)
    Console().print(table)


@contextmanager
def _connection(settings: Settings, state_dir: Path | None) -> Iterator[Connection]:
    """One transaction with the database that is set, or with the one of the stack that runs."""
    folder = state_dir or settings.state_dir
    up = None if settings.database_url is not None and state_dir is None else read_up(folder)
    url = up["database_url"] if up is not None else settings.database_url
    if url is None:
        raise StartupError(f"KALPI_DATABASE_URL is not set and no `kalpi up` runs in {folder.absolute()}")
    engine = make_engine(sqlalchemy_url(url), name="kalpi-users")
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise StartupError(f"cannot reach the database: {reason}") from error
    except ProgrammingError as error:
        raise StartupError("the database has no tables yet: run `kalpi migrate`") from error
    finally:
        engine.dispose()
