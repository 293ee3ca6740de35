"""Tables of jobs, made in pieces: each part of a job writes what its rows are in the final file, and joining them
copies bytes.

Null is an empty cell in CSV and XLSX. Numbers are written so that reading them gives the same float64, but in XLSX.
Equal input gives equal bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

import pyarrow as pa

from common.jobs import TableFormat
from worker.pieces import arrow, parquet, text, xlsx
from worker.pieces.copying import Sink, TornPiece

__all__ = ["Sink", "TornPiece", "join", "write_piece"]

_WRITE: Mapping[TableFormat, Callable[[pa.Table, Sink, int], None]] = {
    TableFormat.PARQUET: parquet.write_piece,
    TableFormat.ARROW: arrow.write_piece,
    TableFormat.CSV: text.write_csv,
    TableFormat.JSON: text.write_json,
    TableFormat.XLSX: xlsx.write_piece,
}

_JOIN: Mapping[TableFormat, Callable[[Iterable[BinaryIO], pa.Schema, Sink], None]] = {
    TableFormat.PARQUET: parquet.join,
    TableFormat.ARROW: arrow.join,
    TableFormat.CSV: text.join_csv,
    TableFormat.JSON: text.join_json,
    TableFormat.XLSX: xlsx.join,
}


def write_piece(table: pa.Table, form: TableFormat, sink: Sink, first_row: int) -> None:
    """What `table`, of the schema of `worker.compute.table_schema`, is in a file.

    `first_row` is how many rows of the job's table come before; it matters to formats that count them.
    """
    _WRITE[form](table, sink, first_row)


def join(pieces: Iterable[BinaryIO], schema: pa.Schema, form: TableFormat, sink: Sink) -> None:
    """Writes the whole file, from its pieces in their order; one is read at a time, a little at a time.

    Raises TornPiece, and whatever reading a piece or writing to `sink` raises.
    """
    _JOIN[form](pieces, schema, sink)
