"""The `kalpi` command."""

import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command

from cli import data
from common.errors import KalpiError
from common.settings import Settings

_BAD_INPUT = 2

_GROUPS = ("users", "cache", "jobs")
"""Modules of `cli` with commands of their own. Each is loaded when it is called for: one start needs little of all."""


class _Group(TyperGroup):
    """Turns every error raised on purpose into one line on stderr and exit code 2."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer keeps click's types to itself
        return sorted({*super().list_commands(ctx), *_GROUPS})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        if cmd_name not in self.commands:  # an unknown name is compared with all there are
            for name in (cmd_name,) if cmd_name in _GROUPS else _GROUPS:
                group = self.commands[name] = get_command(import_module(f"cli.{name}").app)
                group.name = name
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        try:
            return super().invoke(ctx)
        except KalpiError as error:
            typer.echo(f"kalpi: {error}", err=True)
        except ValidationError as error:
            typer.echo(f"kalpi: {_first_setting_error(error)}", err=True)
        raise typer.Exit(_BAD_INPUT)


def _first_setting_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"KALPI_{str(first['loc'][0]).upper()}: {first['msg']}"


app = typer.Typer(
    cls=_Group,
    name="kalpi",
    help="Technical indicators over your own bars, served over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
data.register(app)


@app.command("up")
def up_command(  # noqa: PLR0917 - options, never positional
    host: Annotated[str | None, typer.Option(help="Address the API and Flower listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the API; 0 picks a free one.")] = None,
    flower_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of Flower; 0 picks one.")] = None,
    flower: Annotated[bool, typer.Option(help="Whether Flower runs.")] = True,
    state_dir: Annotated[Path | None, typer.Option(help="Folder of everything generated.")] = None,
    data: Annotated[Path | None, typer.Option(help="Parquet file of the bars to serve.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Processes that compute.")] = None,
    api_processes: Annotated[int | None, typer.Option(min=1, max=64, help="API processes on one port.")] = None,
) -> None:
    """Start everything and stay: PostgreSQL, Redis, API, workers, sweeper, Flower.

    What is not given here comes from the KALPI_… variables.
    """
    from cli import up  # noqa: PLC0415 - only where it is needed

    settings = Settings()
    options = up.Options(
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
        flower_port=settings.flower_port if flower_port is None else flower_port,
        with_flower=flower,
        state_dir=(settings.state_dir if state_dir is None else state_dir).absolute(),
        data_file=(settings.data_file if data is None else data).absolute(),
        data_file_given=data is not None or "KALPI_DATA_FILE" in os.environ,
        workers=settings.workers if workers is None else workers,
        api_processes=settings.api_processes if api_processes is None else api_processes,
    )
    try:
        up.run(options, settings, Console())
    except up.AlreadyReported:
        raise typer.Exit(_BAD_INPUT) from None


@app.command()
def migrate() -> None:
    """Bring the database at KALPI_DATABASE_URL to the tables of this version."""
    from cli.backends import sqlalchemy_url  # noqa: PLC0415 - only where it is needed
    from common.db.migrate import upgrade  # noqa: PLC0415

    upgrade(sqlalchemy_url(Settings().database))
    typer.echo("The tables are up to date.")
