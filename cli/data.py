"""`kalpi data …`: sample, import, info. The work is the worker side's; this hands the words over."""

import subprocess
import sys
from typing import Annotated

import typer

_CONTEXT = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


def register(app: typer.Typer) -> None:
    """Adds the command to the application; it is no group of its own, so that `--help` is passed on too."""
    app.command("data", context_settings=_CONTEXT, help="Make, import or describe the market data.")(data)


def data(words: Annotated[list[str] | None, typer.Argument(metavar="COMMAND ...")] = None) -> None:
    """Runs `python -m worker.market`: `cli` imports no numerics."""
    command = [sys.executable, "-m", "worker.market", *(words or ["--help"])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own module
