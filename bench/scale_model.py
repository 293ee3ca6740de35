"""How long jobs take with so many workers: what parts cost, simulated part by part. Standard library alone.

A worker takes a ring from the broker, claims a part at PostgreSQL, works, and ends the part, for which it locks the row
of the part's job. The broker does one thing at a time, PostgreSQL as many as it has processors, and a job's row is
locked by one worker at a time. Whoever ends a job's last part makes its assembly ready, which one worker does alone.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from random import Random

_UNEVEN = 0.5
"""Parts are cut by estimates: the work of each is drawn evenly from this share below to this share above the mean."""

_LOCKED_TRIPS = 3
"""Between a worker and PostgreSQL while the row is locked: the part's end, the count, the commit."""
_TRIPS = 8
"""Of the other statements of a part."""

_CLAIM, _END, _RELEASE = range(3)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of each part, beside its work."""

    broker: float = 0.000_3
    """Of the broker's one thread: the ring, its delivery, the events of the task, the news of its end."""

    claiming: float = 0.000_9
    ending: float = 0.000_4
    """Of a processor of PostgreSQL; ending locks the job's row."""

    overhead: float = 0.004
    """Of the worker: Celery, the table and the file of the piece."""

    joining: float = 1.5e-9
    """Seconds per byte of a result: reading the pieces, writing them again, and waiting for the disk."""

    server_cores: int = 4
    """Processors of PostgreSQL."""

    network: float = 0.0
    """A round trip from a worker on another machine."""

    @property
    def held(self) -> float:
        """Seconds that a row is locked while PostgreSQL waits to hear what is next."""
        return _LOCKED_TRIPS * self.network

    @property
    def beside(self) -> float:
        """Seconds of a worker that nobody else waits for."""
        return self.overhead + _TRIPS * self.network

    def per_second(self, workers: int, work: float, jobs: int = 1) -> dict[str, float]:
        """Parts per second that each could do if it were alone; the least of them bounds what all do."""
        alone = self.broker + self.claiming + self.beside + work + self.ending + self.held
        return {
            "workers": workers / alone,
            "rows of the jobs": jobs / (self.ending + self.held),
            "PostgreSQL": self.server_cores / (self.claiming + self.ending),
            "broker": 1 / self.broker,
        }


@dataclass(frozen=True, slots=True)
class Job:
    parts: int
    work: float  # seconds of each part, on average
    result_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float  # until the last job has ended
    parts: int  # that have ended, without assemblies
    efficiency: float  # the share of the workers' time that was spent on work and on joining

    @property
    def per_second(self) -> float:
        return self.parts / self.seconds


def simulate(jobs: Sequence[Job], workers: int, costs: Costs, seed: int = 1) -> Run:
    """All jobs wait at the start, each is another user's, so they take turns. Equal arguments give equal runs."""
    return _Simulation(jobs, workers, costs, Random(seed)).run()


class _Simulation:
    def __init__(self, jobs: Sequence[Job], workers: int, costs: Costs, random: Random) -> None:
        self._jobs, self._costs, self._random = jobs, costs, random
        self._turns = deque(place for place, job in enumerate(jobs) if job.parts)
        self._left = [job.parts for job in jobs]  # to be claimed
        self._open = [job.parts for job in jobs]  # to be ended
        self._assemblies: deque[int] = deque()
        self._waiting: list[deque[int] | None] = [None] * len(jobs)  # for the row; None: it is free
        self._at = [0] * workers  # the job whose part each worker is at
        self._idle: list[int] = []
        self._broker_free = 0.0
        self._cores = [0.0] * costs.server_cores  # when each is free
        self._events: list[tuple[float, int, int]] = []  # when, which worker, what it is about to do
        self._ended = 0
        self._worked = 0.0
        self._workers = workers

    def run(self) -> Run:
        now = 0.0
        for worker in range(self._workers):
            self._ring(now, worker)
        heapify(self._events)
        while self._events:
            now, worker, step = heappop(self._events)
            if step == _CLAIM:
                self._claim(now, worker)
            elif step == _END:
                self._end(now, worker)
            else:
                self._release(now, worker)
        return Run(now, self._ended, self._worked / (now * self._workers))

    def _ring(self, now: float, worker: int) -> None:
        """The broker hands out a ring, one after the other."""
        self._broker_free = max(now, self._broker_free) + self._costs.broker
        heappush(self._events, (self._broker_free, worker, _CLAIM))

    def _served(self, now: float, seconds: float) -> float:
        """When PostgreSQL has done this. Asked in the order of time, so nobody is overtaken."""
        done = max(now, self._cores[0]) + seconds
        heapreplace(self._cores, done)
        return done

    def _claim(self, now: float, worker: int) -> None:
        if self._assemblies:
            self._at[worker] = place = self._assemblies.popleft()
            work = self._jobs[place].result_bytes * self._costs.joining
        elif self._turns:
            self._at[worker] = place = self._turns.popleft()
            self._left[place] -= 1
            if self._left[place]:
                self._turns.append(place)
            work = self._jobs[place].work * (1 + _UNEVEN * (2 * self._random.random() - 1))
        else:
            self._idle.append(worker)
            return
        self._worked += work
        claimed = self._served(now, self._costs.claiming)
        heappush(self._events, (claimed + work + self._costs.beside, worker, _END))

    def _end(self, now: float, worker: int) -> None:
        """Takes the row of the job, or waits for it."""
        place = self._at[worker]
        waiting = self._waiting[place]
        if waiting is None:
            self._waiting[place] = deque()
            self._record(now, worker)
        else:
            waiting.append(worker)

    def _record(self, now: float, worker: int) -> None:
        recorded = self._served(now, self._costs.ending)
        heappush(self._events, (recorded + self._costs.held, worker, _RELEASE))

    def _release(self, now: float, worker: int) -> None:
        place = self._at[worker]
        waiting = self._waiting[place]
        if waiting:
            self._record(now, waiting.popleft())
        else:
            self._waiting[place] = None
        if self._open[place]:
            self._open[place] -= 1
            self._ended += 1
            if not self._open[place] and self._jobs[place].parts > 1:  # a job of one part needs no assembly
                self._assemblies.append(place)
                if self._idle:
                    self._ring(now, self._idle.pop())
        self._ring(now, worker)
