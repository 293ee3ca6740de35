"""The headers that say what is left of the day."""

from datetime import datetime
from functools import lru_cache

from api.admission import seconds_left
from common.quota import Standing

Header = tuple[bytes, bytes]


def rate_limit_headers(standing: Standing, now: datetime) -> list[Header]:
    """None for who has no limit."""
    limit, remaining = standing.tier.series_a_day, standing.remaining
    if limit is None or remaining is None:
        return []
    policy, limit_header = _of_limit(limit)
    return [
        policy,
        (b"ratelimit", b'"daily";r=%d;t=%d' % (remaining, seconds_left(standing, now))),
        limit_header,
        (b"x-ratelimit-remaining", b"%d" % remaining),
        (b"x-ratelimit-reset", b"%d" % int(standing.resets_at.timestamp())),
    ]


@lru_cache
def _of_limit(limit: int) -> tuple[Header, Header]:
    return (b"ratelimit-policy", b'"daily";q=%d;w=86400' % limit), (b"x-ratelimit-limit", b"%d" % limit)
