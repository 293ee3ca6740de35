"""Pieces of a spreadsheet: the rows of its sheet, as XlsxWriter writes them in constant memory.

A part writes a workbook with its rows where they are in the whole sheet, and keeps their XML; joining puts them into
the sheet of a workbook that has the header alone. Texts are written as texts, so none is taken for a formula. Numbers
have 16 digits, as XlsxWriter writes them.

    rows, as XML | how many they are, bytes of the XML: int64
"""

import io
import struct
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import IO, Any, BinaryIO, Self, cast

import pyarrow as pa
import xlsxwriter

from common.errors import KalpiError
from common.jobs import XLSX_COLUMNS, XLSX_ROWS
from worker.pieces.copying import Sink, TornPiece, copy, read_trailer
from worker.pieces.text import coded

_SHEET = "xl/worksheets/sheet1.xml"
_END_OF_ROW, _END_OF_ROWS = b"</row>", b"</sheetData>"
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # so that equal tables are equal bytes
_DAY_ZERO = 25_569  # 1970-01-01 as spreadsheets count days
_TRAILER = struct.Struct("<qq")
_SOME_ROW = XLSX_ROWS - 1  # the last with a filter, until that is known; XlsxWriter has no number for the very last
_LIMIT = 9.99999999999999e307  # what a spreadsheet cannot hold is an empty cell


def write_piece(table: pa.Table, sink: Sink, first_row: int) -> None:
    """Raises KalpiError for rows that a sheet has no place for: XlsxWriter leaves them out without a word."""
    if first_row + table.num_rows >= XLSX_ROWS:
        raise KalpiError(
            f"the table has more rows than the {XLSX_ROWS - 1:,} that fit below the header of a sheet in xlsx;"
            " ask for fewer symbols or days, or for another format"
        )
    symbols, codes = coded(table.column("symbol"))
    days = table.column("date").cast(pa.int32()).to_pylist()
    columns = [column.to_pylist() for column in table.columns[2:]]
    with _Workbook() as book:
        sheet, date = book.sheet, book.date
        sheet.write_blank(0, 0, None, book.bold)  # in the place of the header: formats are numbered as they are used
        for row, (code, day, *numbers) in enumerate(zip(codes, days, *columns, strict=True), first_row + 1):
            sheet.write_string(row, 0, symbols[code])
            sheet.write_number(row, 1, day + _DAY_ZERO, date)
            for column, number in enumerate(numbers, 2):
                if number is not None and -_LIMIT < number < _LIMIT:
                    sheet.write_number(row, column, number)
    with zipfile.ZipFile(book.file) as file:
        xml = file.read(_SHEET)
    rows = xml[xml.index(_END_OF_ROW) + len(_END_OF_ROW) : xml.rindex(_END_OF_ROWS)]
    sink.write(rows)
    sink.write(_TRAILER.pack(table.num_rows, len(rows)))


def join(pieces: Iterable[BinaryIO], schema: pa.Schema, sink: Sink) -> None:
    with _Workbook() as book:
        for column, name in enumerate(schema.names):
            book.sheet.write_string(0, column, name, book.bold)
        book.sheet.freeze_panes(1, 2)
        book.sheet.autofilter(0, 0, _SOME_ROW - 1, len(schema) - 1)
    last_row = 1
    with zipfile.ZipFile(book.file) as shell, _new_zip(sink) as file:
        for name in shell.namelist():  # first the sheet, then what else says how many rows it has
            content = shell.read(name)
            with file.open(name, "w") as written:
                if name == _SHEET:
                    before, _, content = content.partition(_END_OF_ROWS)
                    written.write(_without_dimension(before))
                    last_row += sum(_copy_rows(piece, written) for piece in pieces)
                    written.write(_END_OF_ROWS)
                written.write(content.replace(b"%d" % _SOME_ROW, b"%d" % last_row))


def _copy_rows(piece: BinaryIO, sheet: IO[bytes]) -> int:
    size, (rows, length) = read_trailer(piece, _TRAILER)
    if length != size:
        raise TornPiece(f"it has {size} bytes and says otherwise")
    piece.seek(0)
    copy(piece, sheet, size)
    return rows


def _new_zip(sink: Sink) -> zipfile.ZipFile:
    """Its entries are of 1980, so that equal tables are equal bytes. The fastest level: others gain a few per cent."""
    return zipfile.ZipFile(cast("BinaryIO", sink), "w", zipfile.ZIP_DEFLATED, compresslevel=1)


def _without_dimension(xml: bytes) -> bytes:
    """What says that the sheet has one row; a sheet need not say how many it has."""
    before, _, rest = xml.partition(b"<dimension ")
    return before + rest.partition(b"/>")[2]


class _Workbook:
    """A workbook of one sheet, with the same formats in the same order each time; in `file` at the end of the block."""

    def __init__(self) -> None:
        self.file = io.BytesIO()
        self._book: Any = xlsxwriter.Workbook(self.file, {"constant_memory": True})
        self._book.set_properties({"created": _LONG_AGO})
        self.bold = self._book.add_format({"bold": True})
        self.date = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self.sheet = self._book.add_worksheet()
        self.sheet.set_column(0, 0, 14)
        self.sheet.set_column(1, 1, 11, self.date)
        self.sheet.set_column(2, XLSX_COLUMNS - 1, 13)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._book.close()
