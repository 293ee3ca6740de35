"""How the queues stand: of `batch` PostgreSQL knows everything, of `interactive` the broker.

No figure is counted row by row: a million queued parts cost no more than the jobs they belong to.
"""

import time
from dataclasses import dataclass

import redis.asyncio
from sqlalchemy import Connection, text

from common.broker import BATCH, INTERACTIVE
from common.postmark import read_postmark
from common.presence import Present, read_signs
from common.redis import TOTALS, WORKERS
from common.totals import Done, read_totals

STALL_SECONDS = 30
"""So long parts may wait, and none be claimed, before something is wrong."""

# A job's rows say how many of its parts have not ended: those that have yet to, and when there are none, its assembly.
# Only jobs that live have queued parts, so their users are all there are to ask for the oldest.
_BATCH = text("""
WITH live AS (
    SELECT user_id,
           count(*) FILTER (WHERE status = 'queued') AS queued,
           count(*) FILTER (WHERE status = 'running') AS running,
           sum(parts_total - parts_ended + CAST(parts_ended = parts_total AS int)) AS unfinished
    FROM jobs WHERE status IN ('queued', 'running') GROUP BY user_id
),
totals AS (
    SELECT COALESCE(sum(live.queued), 0) AS jobs_queued, COALESCE(sum(live.running), 0) AS jobs_running,
           COALESCE(sum(live.unfinished), 0) AS unfinished,
           min(oldest.accepted_at) AS oldest_at, max(latest.claimed_at) AS claimed_at
    FROM live
    LEFT JOIN LATERAL (
        SELECT p.accepted_at FROM job_parts p WHERE p.state = 'queued' AND p.user_id = live.user_id
        ORDER BY p.accepted_at LIMIT 1
    ) oldest ON true
    LEFT JOIN LATERAL (
        SELECT p.claimed_at FROM job_parts p WHERE p.user_id = live.user_id AND p.claimed_at IS NOT NULL
        ORDER BY p.claimed_at DESC LIMIT 1
    ) latest ON true
),
held AS (
    SELECT count(*) AS parts, count(*) FILTER (WHERE lease_until > now()) AS kept
    FROM job_parts WHERE state = 'running'
)
SELECT CAST(t.jobs_queued AS int) AS jobs_queued, CAST(t.jobs_running AS int) AS jobs_running,
       CAST(t.unfinished - h.parts AS int) AS queued, h.parts AS running, h.kept,
       CAST(extract(epoch FROM now() - t.oldest_at) AS float) AS oldest,
       CAST(extract(epoch FROM now() - t.claimed_at) AS float) AS claimed
FROM totals t, held h
""")


@dataclass(frozen=True, slots=True)
class Batch:
    jobs_queued: int
    jobs_running: int
    queued: int  # parts
    running: int  # parts
    kept: int  # of those that run, the ones whose lease has not ended: a worker is at them
    oldest: float | None  # seconds since the acceptance of the queued part that was accepted first
    claimed: float | None  # seconds since somebody who has jobs under way was last served

    @property
    def is_stalled(self) -> bool:
        """Whether parts wait and nobody is at any.

        A part that is held back by its user's bound is no stall: there are others of that user, which somebody keeps.
        """
        waits = self.oldest is not None and self.oldest > STALL_SECONDS
        served = self.claimed is not None and self.claimed <= STALL_SECONDS
        return waits and not self.kept and not served


@dataclass(frozen=True, slots=True)
class Broker:
    queued: int  # messages of `interactive`
    oldest: float | None  # seconds since the first of them was sent; None when there is none, or it does not say
    done: dict[str, Done]  # by queue
    present: Present


def look_at_batch(connection: Connection) -> Batch:
    """Of one moment."""
    return Batch(**connection.execute(_BATCH).mappings().one())


async def look_at_broker(broker: redis.asyncio.Redis) -> Broker:
    """In one trip. Raises REDIS_AWAY."""
    async with broker.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.llen(INTERACTIVE)
        pipe.lindex(INTERACTIVE, -1)  # pushed at the head, taken from the tail
        pipe.hgetall(TOTALS)
        pipe.zrange(WORKERS, 0, -1, withscores=True)
        (now, _), queued, first, totals, signs = await pipe.execute()
    sent_at = None if first is None else read_postmark(first)
    return Broker(
        queued=queued,
        oldest=None if sent_at is None else max(0.0, time.time() - sent_at),
        done={queue: read_totals(totals, queue) for queue in (INTERACTIVE, BATCH)},
        present=read_signs(signs, now),
    )
