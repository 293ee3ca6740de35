"""`kalpi jobs …`: submits jobs to a running API, follows them, fetches their results."""

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec
from urllib.parse import quote

import httpx
import orjson
import typer
from rich.console import Console
from rich.text import Text

from cli import job_display as display
from cli.client import Away, Client, Patience, Refused, where
from cli.credentials import header_value, who
from cli.download import STDOUT, check_target, copy, find_result, opened, target_of
from cli.job_events import Job, follow, settled
from cli.progress import progress
from common.errors import InvalidParameters
from common.jobs import ENDED, JobState, TableFormat

app = typer.Typer(help="Submit jobs to a running API, follow them, fetch their results.", no_args_is_help=True)

P = ParamSpec("P")

JobId = Annotated[str, typer.Argument(metavar="ID", show_default=False)]
Out = Annotated[Path | None, typer.Option(help="File or folder of the result; - is standard output.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]
Json = Annotated[bool, typer.Option("--json", help="As the API has it, a job a line.")]

_PAGE = 100
"""Most jobs that one answer lists."""

_JSON = {"Content-Type": "application/json"}

_UNSUCCESSFUL = 1
_REFUSED = 2
_AWAY = 3


# --- the conversation every command has


@contextmanager
def connected(
    url: Annotated[str | None, typer.Option(help="Address of the API; else KALPI_URL.", show_default=False)] = None,
    user: Annotated[
        str | None, typer.Option(help="Who asks; else KALPI_TOKEN, or KALPI_USER.", show_default=False)
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from a pipe; else KALPI_PASSWORD.")
    ] = False,
    state_dir: Annotated[
        Path | None, typer.Option(help="Where no address is set: state folder of the running `kalpi up`.")
    ] = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to go on trying while the API is away.")] = 60,
) -> Iterator[Client]:
    address = where(url, state_dir)
    with Client(address, who(address, user, password_stdin=password_stdin), Patience(patience, _warn)) as client:
        yield client


def command(name: str) -> Callable[[Callable[Concatenate[Client, P], None]], Callable[..., None]]:
    """Registers a command that gets a client; the options of `connected` are added to its own."""
    shared = signature(connected).parameters

    def add(function: Callable[Concatenate[Client, P], None]) -> Callable[..., None]:
        _, *own = signature(function).parameters.values()

        @wraps(function)
        def run(**given: Any) -> None:  # noqa: ANN401 - typer has checked them
            with connected(**{option: given.pop(option) for option in shared}) as client:
                try:
                    function(client, **given)  # type: ignore[call-arg]
                except Away as error:
                    typer.echo(f"kalpi: {error}", err=True)
                    raise typer.Exit(_AWAY) from None

        parameters = [*own, *shared.values()]
        run.__signature__ = signature(run).replace(  # type: ignore[attr-defined]
            parameters=[p.replace(kind=Parameter.KEYWORD_ONLY) for p in parameters]
        )
        return app.command(name)(run)

    return add


# --- the commands


@command("submit")
def submit(
    client: Client,
    file: Annotated[Path, typer.Argument(help="Body of POST /v1/jobs as JSON; - is standard input.")],
    *,
    format: Annotated[TableFormat | None, typer.Option(help="In place of the file's.", show_default=False)] = None,  # noqa: A002
    webhook_url: Annotated[str | None, typer.Option(help="In place of the file's.", show_default=False)] = None,
    validate_only: Annotated[bool, typer.Option("--validate-only", help="Only say what it would cost.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Submits once, however often; by default a new one.", show_default=False)
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    out: Out = None,
    force: Force = False,
) -> None:
    """Submit a job; --out follows it and fetches its result.

    A program that reads standard output gets the id alone: ID=$(kalpi jobs submit FILE).
    """
    check_target(out, force=force)
    given = {"format": format, "webhook_url": webhook_url}
    body = orjson.dumps(read_body(file) | {name: value for name, value in given.items() if value is not None})
    if validate_only:
        answer = client.ask("POST", "/v1/jobs", params={"validate_only": "true"}, content=body, headers=_JSON)
        Console(highlight=False).print(display.estimated(answer.json()))
        return
    job = _submitted(client, body, header_value("--idempotency-key", idempotency_key or str(uuid.uuid4())))
    if out != STDOUT and not sys.stdout.isatty():
        typer.echo(job["id"])
    if watch or out is not None:
        _succeed(_watched(client, job))
    if out is not None:
        _fetch(client, job["id"], out, force=force)
    elif not watch:
        _say(Text(f"  kalpi jobs fetch --watch {job['id']}   waits for its result", "dim"))


@command("list")
def list_jobs(
    client: Client,
    status: Annotated[JobState | None, typer.Option(help="Only jobs in this state.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 20,
    json: Json = False,
) -> None:
    """List your jobs, newest first."""
    jobs = list(list_of(client, status, limit))
    if json:
        for job in jobs:
            typer.echo(orjson.dumps(job))
        return
    if jobs:
        display.show_list(jobs, Console(highlight=False), datetime.now(UTC))
    else:
        _say(Text("There are none."))


@command("show")
def show(client: Client, job_id: JobId, json: Json = False) -> None:
    """Show how a job stands, with what failed and why."""
    job = client.ask("GET", _path(job_id)).json()
    if json:
        typer.echo(orjson.dumps(job))
        return
    Console(highlight=False).print(display.described(job, datetime.now(UTC)))


@command("cancel")
def cancel(client: Client, job_ids: Annotated[list[str], typer.Argument(metavar="ID...", show_default=False)]) -> None:
    """Stop jobs; what they have not computed yet is given back."""
    refused = False
    for job_id in job_ids:
        try:
            typer.echo(display.given_back(client.ask("POST", f"{_path(job_id)}/cancel").json()))
        except Refused as error:  # the others are still to be stopped
            typer.echo(f"kalpi: {error}", err=True)
            refused = True
    if refused:
        raise typer.Exit(_REFUSED)


@command("fetch")
def fetch(
    client: Client,
    job_id: JobId,
    out: Out = None,
    force: Force = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the job to its end first.")] = False,
) -> None:
    """Download the result of a job; the same command goes on where an earlier one broke off."""
    check_target(out, force=force)
    if watch:
        _succeed(_watched(client, client.ask("GET", _path(job_id)).json()))
    _fetch(client, job_id, out, force=force)


# --- what they do


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def read_body(file: Path) -> dict[str, Any]:
    name = "standard input" if file == STDOUT else str(file)
    try:
        body = orjson.loads(sys.stdin.buffer.read() if file == STDOUT else file.read_bytes())
    except OSError as error:
        raise InvalidParameters.one("FILE", f"{name}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InvalidParameters.one("FILE", f"{name} is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidParameters.one("FILE", f"{name} is not an object with `symbols` and `indicators`")
    return body


def _submitted(client: Client, body: bytes, key: str) -> Job:
    """Under its key it can be sent again and again, and is one job."""
    try:
        answer = client.ask(
            "POST",
            "/v1/jobs",
            again={httpx.codes.CONFLICT},  # an attempt whose answer was lost is still being accepted
            content=body,
            headers=_JSON | {"Idempotency-Key": key},
        )
    except (Away, KeyboardInterrupt):
        _warn(f"It may have been accepted all the same; --idempotency-key {key} finds it and submits nothing twice.")
        raise
    job: Job = answer.json()
    before = " before" if "Idempotent-Replayed" in answer.headers else ""
    _say(Text(f"Job {job['id']} was accepted{before}: {job['series']['total']:,} series, {job['format']}."))
    for warning in job.get("warnings", ()):
        _say(Text(warning, "yellow"))
    return job


def _watched(client: Client, job: Job) -> Job:
    """The job at its end, told in a line with what failed."""
    try:
        if job["status"] not in ENDED:
            with progress(_messages(), display.doing(job), job["series"]["total"], "series", settled(job)) as show:
                for job in follow(client, _path(job["id"])):  # noqa: B020, PLR1704 - the newest is what counts
                    show(settled(job), failed=job["series"]["failed"], label=display.doing(job))
    except (Away, KeyboardInterrupt):
        _warn("the job goes on without being watched")
        _say(Text(f"  kalpi jobs fetch --watch {job['id']}   waits for its result"))
        _say(Text(f"  kalpi jobs cancel {job['id']}          stops it"))
        raise
    _say(display.ended(job))
    for line in display.fault_lines(job["errors"]):
        _say(Text(f"  {line}", "red"))
    return job


def _succeed(job: Job) -> None:
    if job["status"] != JobState.COMPLETED:
        raise typer.Exit(_UNSUCCESSFUL)


def _fetch(client: Client, job_id: str, out: Path | None, *, force: bool) -> None:
    result = find_result(client, _path(job_id))
    target = target_of(result, out, force=force)
    try:
        with (
            opened(target, result) as (sink, have),
            progress(_messages(), "downloading", result.size, "bytes", have) as show,
        ):
            copy(client, result, sink, have, show)
    except (Away, KeyboardInterrupt):
        if target != STDOUT:
            _warn(f"what has come is kept; `kalpi jobs fetch {job_id} --out {target}` goes on from there")
        raise
    if target != STDOUT:
        _say(Text(f"{target}: {result.size:,} bytes"))


def list_of(client: Client, status: JobState | None, limit: int) -> Iterator[Job]:
    """The newest jobs first, of all states or one."""
    params: dict[str, str | int] = {} if status is None else {"status": status}
    while limit > 0:
        page = client.ask("GET", "/v1/jobs", params={**params, "page_size": min(limit, _PAGE)}).json()
        yield from page["jobs"]
        limit -= len(page["jobs"])
        if page["next_page_token"] is None:
            return
        params["page_token"] = page["next_page_token"]


@cache
def _messages() -> Console:
    """Standard error: standard output belongs to the program that reads it. One, so that lines go above the bar."""
    return Console(stderr=True, highlight=False)


def _say(text: Text) -> None:
    _messages().print(text, soft_wrap=True)


def _warn(line: str) -> None:
    _say(Text(f"kalpi: {line}", "yellow"))
