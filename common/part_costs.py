"""How much work a job is, in nanoseconds: what it is cut into parts by. Measured; good to a factor of about two.

Two things cost: computing each series over the history of a symbol, and writing each number of the window. What writing
costs is by far the larger part of most jobs, and depends on the format alone.
"""

from collections.abc import Mapping
from types import MappingProxyType

from common.catalogue import chain
from common.catalogue.costs import NANOSECONDS
from common.jobs import JobRequest, TableFormat

WRITING: Mapping[TableFormat, float] = MappingProxyType(
    {
        TableFormat.ARROW: 5.0,
        TableFormat.PARQUET: 18.0,
        TableFormat.CSV: 70.0,
        TableFormat.JSON: 110.0,
        TableFormat.XLSX: 3_500.0,
    }
)
"""Nanoseconds per number of a table."""


def computing(request: JobRequest) -> float:
    """Nanoseconds per row of a symbol's history."""
    return sum(NANOSECONDS[spec.name] for one in request.series for spec in chain.required(one.spec, dict(one.params)))


def writing(request: JobRequest) -> float:
    """Nanoseconds per row of the table."""
    return WRITING[request.format] * request.width
