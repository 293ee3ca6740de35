"""What a job has to be at every moment: the model of the job machine. It knows no time; leases end when told to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection, text

from worker.transitions import Claim, Outcome

SERIES = 2
"""Of each symbol of every job."""
ATTEMPTS = 3
LIVE = frozenset({"queued", "running"})


@dataclass
class Person:
    """A user, and how many of their parts may run at once; None for no bound."""

    id: int
    bound: int | None
    used: int = 0


@dataclass
class Part:
    symbols: int
    state: str = "queued"
    attempt: int = 0
    worker: str | None = None
    lapsed: bool = False
    """Its lease has ended."""


@dataclass
class Job:
    id: str
    person: Person
    parts: list[Part]
    """Those that compute, in their order; then the assembly, if there is more than one."""
    status: str = "queued"
    ended: int = 0
    completed: int = 0
    failed: int = 0
    refunded: int = 0
    over: bool = False
    """Its result is not kept any longer."""

    @property
    def cut(self) -> int:
        """How many parts compute."""
        return max(1, len(self.parts) - 1)

    @property
    def cost(self) -> int:
        return SERIES * sum(part.symbols for part in self.parts)

    def _give_back(self, series: int) -> None:
        self.refunded += series
        self.person.used -= series

    def end_part(self, number: int, state: str, failed: int) -> Outcome:
        """A part that computes has ended, without as many of its series as `failed`."""
        part = self.parts[number]
        part.state = state
        self.status = "running"
        self.ended += 1
        self.failed += failed
        self.completed += part.symbols * SERIES - failed
        self._give_back(failed)
        if self.ended < self.cut:
            return Outcome.ENDED
        if self.completed and self.cut > 1:
            self.parts[self.cut].state = "queued"
            return Outcome.ASSEMBLY_QUEUED
        if self.cut > 1:
            self.parts[self.cut].state = "cancelled"
        self.status = "completed" if self.completed else "failed"
        return Outcome.JOB_ENDED

    def end_assembly(self, state: str) -> Outcome:
        self.parts[self.cut].state = self.status = state
        if state == "failed":
            self._give_back(self.cost - self.refunded)
        return Outcome.JOB_ENDED

    def fail(self, number: int) -> Outcome:
        """A part is given up."""
        if self.is_assembly(number):
            return self.end_assembly("failed")
        return self.end_part(number, "failed", self.parts[number].symbols * SERIES)

    def cancel(self) -> None:
        self.status = "cancelled"
        for part in self.parts:
            if part.state in {"waiting", "queued", "running"}:
                part.state = "cancelled"
        self._give_back(self.cost - self.completed - self.failed)

    def is_assembly(self, number: int) -> bool:
        return self.cut > 1 and number == self.cut


@dataclass
class Model:
    """All of it, as the database has to have it."""

    people: list[Person]
    jobs: dict[str, Job] = field(default_factory=dict)
    """In the order they were accepted."""

    @property
    def ended(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.status not in LIVE]

    @property
    def is_busy(self) -> bool:
        """Whether a job has not ended yet."""
        return len(self.ended) < len(self.jobs)

    def submit(self, job_id: str, person: Person, runs: Sequence[int]) -> None:
        """Of parts with so many symbols each."""
        assembly = [Part(0, "waiting")] if len(runs) > 1 else []
        job = self.jobs[job_id] = Job(job_id, person, [*map(Part, runs), *assembly])
        person.used += job.cost

    def parts(self, *states: str) -> list[tuple[Job, int]]:
        return [(job, n) for job in self.jobs.values() for n, part in enumerate(job.parts) if part.state in states]

    def running(self, person: Person) -> int:
        return sum(job.person is person for job, _ in self.parts("running"))

    def holds(self, claim: Claim) -> bool:
        part = self.jobs[claim.job_id].parts[claim.number]
        return (part.state, part.attempt, part.worker) == ("running", claim.attempt, claim.worker)

    def turns(self) -> list[tuple[str, int]]:
        """The part that may be claimed next of each user whose turn it may be: of whom the fewest run."""
        first: dict[int, tuple[str, int]] = {}
        running: dict[int, int] = {}
        for job, number in self.parts("queued"):
            runs = self.running(job.person)
            if job.person.bound is None or runs < job.person.bound:
                first.setdefault(job.person.id, (job.id, number))
                running[job.person.id] = runs
        return [turn for who, turn in first.items() if running[who] == min(running.values())]

    def claim(self, claim: Claim) -> None:
        job = self.jobs[claim.job_id]
        part = job.parts[claim.number]
        part.state, part.worker, part.lapsed = "running", claim.worker, False
        part.attempt += 1
        job.status = "running"

    def sweep(self) -> None:
        """What lost its worker is queued again, or given up after the last attempt; what is over expires."""
        lapsed = [(job, n) for job, n in self.parts("running") if job.parts[n].lapsed]
        for job, number in lapsed:
            if job.parts[number].attempt < ATTEMPTS:
                job.parts[number].state = "queued"
            else:
                job.fail(number)
        for job in self.jobs.values():
            if job.over:
                job.status = "expired"


_JOBS = text("""
SELECT id, status, parts_ended, series_completed, series_failed, refunded, completed_at, result_file FROM jobs
""")
_PARTS = text("SELECT job_id, number, state, attempt, worker FROM job_parts")
_USERS = text("SELECT id, requests_today FROM users")


class Ends:
    """How each job has ended, as it was first seen: it ends once, and what has come out stays as it is."""

    def __init__(self) -> None:
        self._seen: dict[UUID, tuple[object, ...]] = {}

    def note(self, connection: Connection) -> None:
        for job in connection.execute(_JOBS):
            if job.status not in LIVE and job.status != "expired":
                end = job.status, job.completed_at, job.result_file, job.refunded
                assert self._seen.setdefault(job.id, end) == end


def assert_same(connection: Connection, model: Model) -> None:
    """The database has what the model has."""
    jobs = {
        str(job.id): (job.status, job.parts_ended, job.series_completed, job.series_failed, job.refunded)
        for job in connection.execute(_JOBS)
    }
    assert jobs == {
        job.id: (job.status, job.ended, job.completed, job.failed, job.refunded) for job in model.jobs.values()
    }
    parts = {
        (str(part.job_id), part.number): (part.state, part.attempt, part.worker)
        for part in connection.execute(_PARTS)
        if model.jobs[str(part.job_id)].status != "expired"
    }
    assert parts == {
        (job.id, number): (part.state, part.attempt, part.worker)
        for job in model.jobs.values()
        if job.status != "expired"
        for number, part in enumerate(job.parts)
    }
    assert dict(tuple(row) for row in connection.execute(_USERS)) == {p.id: p.used for p in model.people}
