"""Answers of the fast path become bytes in their final form. Tables of jobs are made in `worker.pieces`.

NaN inside is null, and an empty cell in CSV. Numbers are written so that reading them gives the same float64. Equal
input gives equal bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from common.answer import pack
from common.query import Form, Interval
from common.version import ENGINE_VERSION
from worker import compression
from worker.compute import BarsFrame, Frame
from worker.market.bars import Floats
from worker.pieces.parquet import open_writer
from worker.text import Column, csv_line, csv_lines

_METADATA = b"kalpi"
"""Key in the metadata of an Arrow schema or a Parquet file: what JSON says beside the numbers, as JSON."""

_LEAST = 512
"""Bytes of an answer that is worth compressing, and the share of them that a coding may leave."""
_WORTHWHILE = 0.9

_WINDOWS = 64


# --- answers to one query


def pack_values(frame: Frame) -> bytes:
    """One answer as it is kept (`common.answer`): compressed here, once, and by nobody after."""
    body = encode_values(frame)
    form = frame.query.form
    if form is Form.PARQUET or len(body) < _LEAST:  # Parquet is compressed inside
        return pack(body)
    shared = _dates_as_json(frame.dates.tobytes()) if form is Form.JSON else b""
    return pack(body, _if_smaller(compression.gzip(body, shared), body), _if_smaller(compression.zstd(body), body))


def _if_smaller(coded: bytes, body: bytes) -> bytes | None:
    return coded if len(coded) <= _WORTHWHILE * len(body) else None


def encode_values(frame: Frame) -> bytes:
    """One answer in the form its query asks for, not compressed."""
    return _VALUES[frame.query.form](frame)


def _about(frame: Frame) -> dict[str, Any]:
    """What an answer says beside its numbers."""
    query = frame.query
    if isinstance(frame, BarsFrame):
        return {"symbol": query.symbol, "data_version": frame.data_version}
    about: dict[str, Any] = {
        "symbol": query.symbol,
        "indicator": query.indicator,
        "params": dict(query.params),
        "interval": query.interval,
        "start_date": query.start_date,
        "end_date": query.end_date,
        "warmup": query.warmup,
        "lookback": frame.lookback,
        "data_version": frame.data_version,
        "engine_version": ENGINE_VERSION,
    }
    if query.interval is not Interval.DAY:
        about["last_bar_final"] = frame.last_bar_final
    if frame.history <= frame.lookback:
        first = f"{query.indicator} with these parameters has its first value in row {frame.lookback + 1}"
        about["warnings"] = [f"{query.symbol} has {frame.history} rows to compute on; {first}"]
    return about


def _values_as_json(frame: Frame) -> bytes:
    answer = _about(frame)
    answer["dates"] = orjson.Fragment(_dates_as_json(frame.dates.tobytes()))
    if isinstance(frame, BarsFrame):
        answer["values"] = _bars(frame.ohlcv)
    else:
        answer["values"] = dict(frame.outputs)
        if frame.ohlcv is not None:
            answer["ohlcv"] = _bars(frame.ohlcv)
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _values_as_csv(frame: Frame) -> bytes:
    columns = _columns(frame)
    return csv_line(["date", *columns]) + csv_lines(_dates_as_text(frame.dates.tobytes()), list(columns.values()))


def _values_as_arrow(frame: Frame) -> bytes:
    table = _values_as_table(frame, {_METADATA: orjson.dumps(_about(frame))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_batch(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _values_as_parquet(frame: Frame) -> bytes:
    table = _values_as_table(frame)
    sink = pa.BufferOutputStream()
    with open_writer(sink, table.schema, dictionaries=False) as writer:
        writer.write_batch(table)
        writer.add_key_value_metadata({_METADATA: orjson.dumps(_about(frame)).decode()})
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


_VALUES: Mapping[Form, Callable[[Frame], bytes]] = {
    Form.JSON: _values_as_json,
    Form.CSV: _values_as_csv,
    Form.ARROW: _values_as_arrow,
    Form.PARQUET: _values_as_parquet,
}


def _columns(frame: Frame) -> dict[str, Column]:
    """The numbers of an answer that is one table: the bars, then the outputs."""
    bars = _bars(frame.ohlcv) if frame.ohlcv is not None else {}
    return bars if isinstance(frame, BarsFrame) else {**bars, **frame.outputs}


def _bars(ohlcv: Mapping[str, Floats]) -> dict[str, Column]:
    """The bars as they are written: volume in whole numbers, unless the data has fractions."""
    volume = ohlcv["volume"]
    whole = np.rint(volume).astype(np.int64)
    return {**ohlcv, "volume": whole if np.array_equal(whole, volume) else volume}


def _values_as_table(frame: Frame, metadata: Mapping[bytes, bytes] | None = None) -> pa.RecordBatch:
    columns = _columns(frame)
    arrays = [_dates_as_arrow(frame.dates.tobytes()), *(_arrow(values) for values in columns.values())]
    fields = [pa.field(name, array.type) for name, array in zip(("date", *columns), arrays, strict=True)]
    return pa.record_batch(arrays, schema=pa.schema(fields, metadata))


def _arrow(values: Column) -> pa.Array:
    """Null where a value is not finite."""
    finite = np.isfinite(values)
    return pa.array(values, mask=None if finite.all() else ~finite)


# Dates of answers, from the bytes of their datetime64[D]. Most that are asked for at one time are of a few windows.


@lru_cache(_WINDOWS)
def _dates_as_json(days: bytes) -> bytes:
    return orjson.dumps(_dates(days).tolist())


@lru_cache(_WINDOWS)
def _dates_as_text(days: bytes) -> Sequence[str]:
    return np.datetime_as_string(_dates(days)).tolist()  # type: ignore[no-any-return]


@lru_cache(_WINDOWS)
def _dates_as_arrow(days: bytes) -> pa.Array:
    return pa.array(_dates(days).astype(np.int32)).cast(pa.date32())


def _dates(days: bytes) -> NDArray[np.datetime64]:
    return np.frombuffer(days, "datetime64[D]")
