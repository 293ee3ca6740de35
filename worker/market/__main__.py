"""`kalpi data`: what is served, and where it comes from."""

import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from common.dataset import Manifest, ManifestFile
from common.errors import DataError, KalpiError
from common.query import read_date
from common.settings import Settings
from worker.market import datafile, publish, sample
from worker.market.bars import Bars
from worker.market.checks import Refusal, check, refused_rows
from worker.market.progress import Steps
from worker.market.reading import RawFile, read

SHOWN = 20
"""Refused rows that are listed one by one."""

REFUSED = "refused_rows.csv"

app = typer.Typer(
    name="kalpi data",
    help="Load, check and describe the bars that are served.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command("sample")
def make_sample(
    symbols: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 500,
    years: Annotated[int, typer.Option(min=1, max=20, help="How far back from the end.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and end, same data.")] = sample.DEFAULT_SEED,
    end: Annotated[
        str | None, typer.Option(metavar="DATE", help="Last day; by default the last business day before today.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file to write; by default the data file.")] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that holds other data.")] = False,
) -> None:
    """Generate synthetic bars and, unless --out says otherwise, serve them."""
    settings = Settings()
    path = out or settings.data_file
    if path.exists() and not force and not datafile.is_synthetic(path):
        raise DataError(f"{path} holds data that `kalpi data sample` did not generate; --force replaces it")
    last_day = _read_end(end, years)
    with Steps(3) as steps:
        steps.begin(f"Generating {symbols:,} synthetic symbols over {years} years")
        bars = sample.generate(symbols, years, last_day, seed)
        steps.begin(f"Writing {bars.rows:,} rows to {path}")
        datafile.write(bars, path)
        manifest = _publish_if_served(bars, path, settings, steps)
    _show(manifest)


@app.command("import")
def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Parquet or CSV files in long form.")],
    out: Annotated[Path | None, typer.Option(help="Parquet file to write; by default the data file.")] = None,
    *,
    drop_bad: Annotated[
        bool,
        typer.Option("--drop-bad", help=f"Import the good rows and write the others to {REFUSED} beside the data."),
    ] = False,
) -> None:
    """Replace the data by the union of the files, or change nothing if any row is wrong.

    Each file has the columns date, symbol, open, high, low, close, volume, in any case and order;
    other columns are ignored. Everything served so far is replaced: to add to it, name the data file too.
    """
    settings = Settings()
    path = out or settings.data_file
    with Steps(len(files) + 3) as steps:
        raw = _read_all(files, steps)
        steps.begin("Checking")
        checked = check(raw)
        if checked.refused and not drop_bad:
            steps.stop()
            _refuse(raw, checked.refused, "Nothing was changed; --drop-bad imports the other rows.")
        if checked.bars is None:
            steps.stop()
            _refuse(raw, checked.refused, "No row can be used; nothing was changed.")
        steps.begin(f"Writing {checked.bars.rows:,} rows to {path}")
        datafile.write(checked.bars, path)
        if checked.refused:
            _write_refused(raw, checked.refused, path.with_name(REFUSED))
        manifest = _publish_if_served(checked.bars, path, settings, steps)
    if checked.refused:
        typer.echo(f"{len(checked.refused):,} rows were refused; they are in {path.with_name(REFUSED)}.")
    _show(manifest)


@app.command("publish")
def publish_file() -> None:
    """Serve the data file as it is now. Does nothing when it is served already."""
    settings = Settings()
    path = settings.data_file
    try:
        stamp = publish.source_stamp(path)
    except OSError:
        raise DataError(
            f"{path}: no such file; `kalpi data sample` generates one, `kalpi data import` makes one of yours"
        ) from None
    manifest = publish.published_from(settings.market_dir, stamp)
    if manifest is not None:
        typer.echo(f"{path} is already served as version {manifest.data_version}.")
        return
    with Steps(3) as steps:
        raw = _read_all([path], steps)
        steps.begin("Checking")
        checked = check(raw)
        if checked.refused or checked.bars is None:
            steps.stop()
            first = checked.refused[0]
            raise DataError(
                f"{path}: {len(checked.refused):,} of {raw[0].table.num_rows:,} rows cannot be used, the first is row "
                f"{first.row}: {first.reason}; `kalpi data import --drop-bad` sorts them out"
            )
        steps.begin("Publishing")
        manifest = publish.publish(checked.bars, settings.market_dir, stamp)
    _show(manifest)


@app.command()
def info(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False
) -> None:
    """Describe the data that is served."""
    settings = Settings()
    manifest = ManifestFile(settings.market_dir).current()
    folder = settings.market_dir / manifest.data_version
    size = sum(file.stat().st_size for file in folder.glob("*"))
    if as_json:
        document = {**_facts(manifest), "source": dict(manifest.source), "bytes": size}
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return
    _show(manifest, {"file": str(manifest.source.get("path", "")), "panels": f"{size / 2**20:,.1f} MiB in {folder}"})


def _read_end(end: str | None, years: int) -> date:
    """The last day of a sample; by default yesterday, whose market is closed everywhere."""
    today = datetime.now(UTC).date()
    if end is None:
        return today - timedelta(days=1)
    try:
        day = read_date(end)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--end") from None
    if not years < day.year or day > today:
        raise typer.BadParameter(
            f"{end!r} is not a day of the past that has {years} years before it", param_hint="--end"
        )
    return day


def _read_all(files: list[Path], steps: Steps) -> list[RawFile]:
    raw = []
    for file in files:
        steps.begin(f"Reading {file}")
        raw.append(read(file))
        if raw[-1].ignored:
            steps.note(f"{file}: ignored the columns {', '.join(map(repr, raw[-1].ignored))}")
    return raw


def _publish_if_served(bars: Bars, path: Path, settings: Settings, steps: Steps) -> Manifest:
    """The manifest of `bars`, published when `path` is the file that is served."""
    stamp = publish.source_stamp(path)
    if path.resolve() != settings.data_file.resolve():
        return publish.describe(bars, stamp)
    steps.begin("Publishing")
    return publish.publish(bars, settings.market_dir, stamp)


def _refuse(raw: list[RawFile], refused: tuple[Refusal, ...], outcome: str) -> NoReturn:
    """List what is wrong on standard error, and leave. Raises typer.Exit."""
    for refusal in refused[:SHOWN]:
        typer.echo(f"{raw[refusal.file].path}: row {refusal.row}: {refusal.reason}", err=True)
    if len(refused) > SHOWN:
        typer.echo(f"… and {len(refused) - SHOWN:,} more", err=True)
    rows = sum(file.table.num_rows for file in raw)
    typer.echo(f"{len(refused):,} of {rows:,} rows cannot be used. {outcome}", err=True)
    raise typer.Exit(2)


def _write_refused(raw: list[RawFile], refused: tuple[Refusal, ...], path: Path) -> None:
    try:
        refused_rows(raw, refused).to_csv(path, index=False, lineterminator="\n")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error


def _facts(manifest: Manifest) -> dict[str, object]:
    return {
        "data_version": manifest.data_version,
        "symbols": len(manifest.symbols),
        "rows": manifest.rows,
        "first_date": min(s.first_date for s in manifest.symbols.values()),
        "as_of": manifest.as_of,
        "synthetic": manifest.synthetic,
    }


def _show(manifest: Manifest, more: dict[str, str] | None = None) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    facts = _facts(manifest)
    for label, value in (
        ("version", facts["data_version"]),
        ("symbols", f"{facts['symbols']:,}"),
        ("rows", f"{facts['rows']:,}"),
        ("first date", facts["first_date"]),
        ("last date", facts["as_of"]),
        ("kind", "synthetic (generated, not real prices)" if manifest.synthetic else "as imported"),
        *(more or {}).items(),
    ):
        table.add_row(label, str(value))
    Console(soft_wrap=True).print(table)


def main() -> None:
    """Run the command; whatever is wrong with data or settings is one line and exit code 2."""
    try:
        app(prog_name="kalpi data")
    except KalpiError as error:
        _leave(str(error))
    except ValidationError as error:
        first = error.errors()[0]
        _leave(f"KALPI_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}")
    except MemoryError:
        _leave("not enough memory")


def _leave(reason: str) -> NoReturn:
    typer.echo(f"kalpi data: {reason}", err=True)
    raise SystemExit(2)


if __name__ == "__main__":
    try:
        main()
    except SystemExit as end:
        # At once: a thread of pyarrow that still reads ahead would bring an orderly end down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
