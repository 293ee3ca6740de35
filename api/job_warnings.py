"""What a user should know of a job that is right and yet may surprise."""

from collections.abc import Iterator

from common.catalogue import chain
from common.dataset import Manifest
from common.jobs import JobRequest
from common.query import Interval, Warmup


def warnings_of(request: JobRequest, manifest: Manifest) -> tuple[str, ...]:
    return (*_without_values(request, manifest), *_open_bars(request, manifest))


def _without_values(request: JobRequest, manifest: Manifest) -> Iterator[str]:
    """Series whose lookback is longer than a symbol's history. How many weeks it has, only a worker knows."""
    if request.interval is not Interval.DAY or request.warmup is not Warmup.FULL:
        return
    histories = [manifest.find(symbol).rows for symbol in request.symbols]
    shortest = min(histories)
    for series in request.series:
        lookback = chain.lookback(series.spec, dict(series.params))
        if shortest <= lookback:
            short = sum(rows <= lookback for rows in histories)
            first = f"has its first value in row {lookback + 1}"
            yield f"{series.label} {first}; {short} of {len(histories)} symbols have fewer rows and no value"


def _open_bars(request: JobRequest, manifest: Manifest) -> Iterator[str]:
    last_dates = [manifest.find(symbol).last_date for symbol in request.symbols]
    shown = [day for day in last_dates if request.start_date <= day <= request.end_date]
    unfinished = sum(not request.interval.is_over(day, manifest.as_of) for day in shown)
    if unfinished:
        yield (
            f"last_bar_final is false: the last {request.interval} bar of {unfinished} of {len(last_dates)} symbols "
            f"may get more days; the data ends at {manifest.as_of}"
        )
