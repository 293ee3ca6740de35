"""Where the results of jobs lie: one folder per job in the result store, named by its id.

    <job id>/pieces/<part>-<attempt>-<era>.piece   what a part contributes, until the result is made of it
    <job id>/result-<attempt>.<format>             the result

Pieces have a folder of their own because object stores remove a folder of any size in a few requests.
Names say which attempt wrote a file, so a worker that has lost its claim never touches its successor's. On a local disk
an era is one run of the machine: pieces are not forced to disk, and after a crash of the machine they do not count.
PostgreSQL says which file counts (`job_parts.file`, `jobs.result_file`), by its name in the store.
"""

import re
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID

from common.jobs import TableFormat
from common.settings import Settings

_LOGIN = re.compile(r"//\S*@")


def part_file(job_id: str, number: int, attempt: int, era: str) -> str:
    return f"{job_id}/pieces/{number}-{attempt}-{era}.piece"


def result_file(job_id: str, attempt: int, form: TableFormat) -> str:
    return f"{job_id}/result-{attempt}.{form}"


def is_folder(name: str) -> bool:
    """Whether a folder of that name is a job's."""
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def local_folder(settings: Settings) -> Path | None:
    """The folder of a store on this machine's own file system; None for another."""
    if settings.results_uri is None:
        return settings.state_dir / "results"
    scheme, _, rest = settings.results_uri.partition("://")
    return Path(unquote(rest)) if scheme == "file" else None


def uri_refused(uri: str, error: Exception) -> str:
    """What is said of a KALPI_RESULTS_URI that cannot be opened; a login in it is left out."""
    reason = str(error).partition("\n")[0]
    said = f"KALPI_RESULTS_URI is {uri!r}: {reason}; file:///folder and s3://bucket/prefix are such as can be opened"
    return _LOGIN.sub("//***@", said)
