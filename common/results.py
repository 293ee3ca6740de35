"""Where the results of jobs lie: one folder per job in the result store, named by its id.

    <job id>/<part>-<attempt>-<era>.piece   what a part contributes, until the result is made of it
    <job id>/result-<attempt>.<format>      the result

Names say which attempt wrote a file, so a worker that has lost its claim never touches its successor's. On a local disk
an era is one run of the machine: pieces are not forced to disk, and after a crash of the machine they do not count.
PostgreSQL says which file counts (`job_parts.file`, `jobs.result_file`), by its name in the store.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from common.jobs import TableFormat
from common.settings import Settings


def part_file(job_id: str, number: int, attempt: int, era: str) -> str:
    return f"{job_id}/{number}-{attempt}-{era}.piece"


def result_file(job_id: str, attempt: int, form: TableFormat) -> str:
    return f"{job_id}/result-{attempt}.{form}"


def local_folder(settings: Settings) -> Path | None:
    """The folder of a store on this machine's own file system; None for another."""
    if settings.results_uri is None:
        return settings.state_dir / "results"
    parts = urlsplit(settings.results_uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
