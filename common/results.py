"""Where the results of jobs lie: one folder per job in `RESULTS_DIR`, named by its id.

    RESULTS_DIR/<job id>/<part>-<attempt>-<boot>.arrow   rows of a part, until the result is made of them
    RESULTS_DIR/<job id>/result-<attempt>.<format>       the result

Names say which attempt wrote a file, so a worker that has lost its claim never touches its successor's, and for a
part in which run of which machine: it is not forced to disk, and after a crash of the machine it does not count.
PostgreSQL says which file counts (`job_parts.file`, `jobs.result_file`), as a path relative to `RESULTS_DIR`.
"""

from common.jobs import TableFormat


def part_file(job_id: str, number: int, attempt: int, boot: str) -> str:
    return f"{job_id}/{number}-{attempt}-{boot}.arrow"


def result_file(job_id: str, attempt: int, form: TableFormat) -> str:
    return f"{job_id}/result-{attempt}.{form}"
