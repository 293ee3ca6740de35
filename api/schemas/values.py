"""What the OpenAPI document says of values and bars: parameters, forms, examples.

FastAPI knows nothing of them (`api.routes.values` answers without it), so all of it is said here. The paths of the
single indicators, which one path serves, are there so that each shows its own parameters.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from common.catalogue import CATALOGUE
from common.catalogue.spec import IndicatorSpec, Output, Param
from common.catalogue.units import FLAG, PATTERN
from common.query import Form, Interval, Warmup
from common.version import ENGINE_VERSION

_SAMPLE = "SYN001"
_DATES = ["2025-09-29", "2025-09-30"]
_NUMBERS = (1374.2, 1371.3)
"""Prices; outputs with bounds have values between them."""
_VERSION = "4be2a9d0c6f1e837"


def _query(name: str, schema: dict[str, Any], description: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": description}


def _header(name: str, example: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "example": example}
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


_DATE = {"type": "string", "format": "date"}

_COMMON: dict[str, dict[str, Any]] = {
    "symbol": _query("symbol", {"type": "string", "example": _SAMPLE}, "One of GET /v1/symbols.", required=True),
    "start_date": _query("start_date", _DATE, "First day; by default the first the caller's tier includes."),
    "end_date": _query("end_date", _DATE, "Last day; by default the data set's last."),
    "interval": _query(
        "interval",
        {"type": "string", "enum": list(Interval), "default": "1d"},
        "Length of a bar. Weeks end on Friday, months with the calendar's; a bar is dated by its last trading day, and "
        "`last_bar_final` is false when more days of the last one are to come.",
    ),
    "warmup": _query(
        "warmup",
        {"type": "string", "enum": list(Warmup), "default": "full"},
        "`full` computes over the whole history and then cuts; `none` sees the rows of the window alone.",
    ),
    "include_ohlcv": _query("include_ohlcv", {"type": "boolean", "default": False}, "Add the bars."),
    "prefer": _header("Prefer", "wait=5", "`wait=N` waits N seconds (0 to 60) for an answer that is not in the cache."),
    "if_none_match": _header(
        "If-None-Match", '"b2f5ff47436671b6e533d8dc3614845d"', "`ETag` of a copy the caller has, in any content coding."
    ),
}
"""Of every indicator. Those of `_OF_BARS` are of the bars too."""

_OF_BARS = ("start_date", "end_date", "prefer", "if_none_match")

_SERIES = {"type": "array", "items": {"type": ["number", "null"]}}
_TEXT, _DAY = {"type": "string"}, {"type": "string", "format": "date"}

_VALUES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "symbol": _TEXT,
        "indicator": _TEXT,
        "params": {"type": "object", "description": "All of them, defaults filled in, sources in canonical form."},
        "interval": {"type": "string", "enum": list(Interval)},
        "start_date": _DAY,
        "end_date": _DAY,
        "warmup": {"type": "string", "enum": list(Warmup)},
        "lookback": {"type": "integer", "description": "Leading rows of the history without a value."},
        "data_version": _TEXT,
        "engine_version": _TEXT,
        "dates": {"type": "array", "items": _DAY},
        "values": {"type": "object", "additionalProperties": _SERIES, "description": "A list per output."},
        "ohlcv": {"type": "object", "additionalProperties": _SERIES, "description": "With `include_ohlcv`."},
        "last_bar_final": {"type": "boolean", "description": "Of weeks and months."},
        "warnings": {"type": "array", "items": _TEXT, "description": "Left out when there is nothing to say."},
    },
    "required": [
        "symbol",
        "indicator",
        "params",
        "interval",
        "start_date",
        "end_date",
        "warmup",
        "lookback",
        "data_version",
        "engine_version",
        "dates",
        "values",
    ],
}

_BARS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "symbol": _TEXT,
        "data_version": _TEXT,
        "dates": {"type": "array", "items": _DAY},
        "values": {
            "type": "object",
            "properties": {
                **{name: {"type": "array", "items": {"type": "number"}} for name in ("open", "high", "low", "close")},
                "volume": {
                    "type": "array",
                    "items": {"type": "number"},
                    "description": "Whole, unless the data's is not.",
                },
            },
            "required": ["open", "high", "low", "close", "volume"],
        },
    },
    "required": ["symbol", "data_version", "dates", "values"],
}

_TABLE = (
    "Columns are those of CSV: `date` (date32), numbers in float64, null where there is no value, volume in int64 when "
    "whole. What JSON says beside the numbers is in the metadata under the key `kalpi`, as JSON."
)

COMPONENTS: dict[str, dict[str, Any]] = {
    "schemas": {
        "Values": _VALUES,
        "Bars": _BARS,
        "ArrowStream": {"type": "string", "format": "binary", "description": f"An Arrow IPC stream. {_TABLE}"},
        "ParquetFile": {"type": "string", "format": "binary", "description": f"A Parquet file. {_TABLE}"},
    },
    "parameters": {f"values_{name}": parameter for name, parameter in _COMMON.items()},
    "responses": {
        "values_job": {
            "description": "Not computed in time; a job does the same.",
            "headers": {
                "Location": {"schema": _TEXT, "description": "`/v1/jobs/{id}`"},
                "Retry-After": {"schema": {"type": "integer"}},
            },
        },
        "values_unchanged": {
            "description": "`If-None-Match` names the current answer; not counted.",
            "headers": {
                "ETag": {"$ref": "#/components/headers/values_etag"},
                "Vary": {"$ref": "#/components/headers/values_vary"},
            },
        },
    },
    "headers": {
        "values_etag": {"schema": _TEXT, "description": "Strong: each form and content coding has its own."},
        "values_cache": {"schema": {"type": "string", "enum": ["HIT", "MISS"]}},
        "values_encoding": {
            "schema": {"type": "string", "enum": ["zstd", "gzip"]},
            "description": "By `Accept-Encoding`. Left out where compression would gain little: of short answers and "
            "of Parquet, which is compressed inside.",
        },
        "values_vary": {"schema": {"type": "string", "example": "Accept, Accept-Encoding, Authorization"}},
        "values_last_bar": {
            "schema": {"type": "string", "enum": ["true", "false"]},
            "description": "Of weeks and months: whether the last bar can get no more days.",
        },
    },
}
"""What the paths of values and bars refer to."""

_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "example": "sma"},
    "description": "One of GET /v1/indicators.",
}
_SYMBOL = {
    "name": "symbol",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "example": _SAMPLE},
    "description": "One of GET /v1/symbols.",
}


def _operation(
    parameters: list[dict[str, Any]], description: str, schema: str, example: dict[str, Any], csv_example: str
) -> dict[str, Any]:
    headers = {"ETag": "etag", "X-Cache": "cache", "Content-Encoding": "encoding", "Vary": "vary"}
    if schema == "Values":
        headers["X-Last-Bar-Final"] = "last_bar"
    return {
        "security": [{"OAuth2PasswordBearer": []}],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": description,
                "headers": {name: {"$ref": f"#/components/headers/values_{ours}"} for name, ours in headers.items()},
                "content": {
                    Form.JSON.media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example},
                    Form.CSV.media_type: {"schema": {"type": "string"}, "example": csv_example},
                    Form.ARROW.media_type: {"schema": {"$ref": "#/components/schemas/ArrowStream"}},
                    Form.PARQUET.media_type: {"schema": {"$ref": "#/components/schemas/ParquetFile"}},
                },
            },
            "202": {"$ref": "#/components/responses/values_job"},
            "304": {"$ref": "#/components/responses/values_unchanged"},
        },
    }


def _common(names: Iterable[str]) -> list[dict[str, Any]]:
    return [{"$ref": f"#/components/parameters/values_{name}"} for name in names]


def _values_operation(spec: IndicatorSpec, own: list[dict[str, Any]]) -> dict[str, Any]:
    return _operation(
        [*_common(["symbol"]), *own, *_common(name for name in _COMMON if name != "symbol")],
        "One list per output, each as long as `dates`; null where there is no value. `warnings` is there when there is "
        "something to say, such as a lookback longer than the history.",
        "Values",
        _example(spec),
        _csv_example(spec),
    )


def _example(spec: IndicatorSpec) -> dict[str, Any]:
    return {
        "symbol": _SAMPLE,
        "indicator": spec.name,
        "params": spec.defaults,
        "interval": "1d",
        "start_date": _DATES[0],
        "end_date": _DATES[-1],
        "warmup": "full",
        "lookback": spec.lookback(spec.defaults),
        "data_version": _VERSION,
        "engine_version": ENGINE_VERSION,
        "dates": _DATES,
        "values": {output.name: _numbers(output) for output in spec.outputs},
    }


def _numbers(output: Output) -> list[float]:
    if output.low is None and output.high is None:
        return list(_NUMBERS)
    if output.low is None or output.high is None:
        return [output.low if output.low is not None else output.high or 0.0] * len(_NUMBERS)
    return [output.low, (output.low + output.high) / 2] if output.unit not in {FLAG, PATTERN} else [0.0, output.high]


def _csv_example(spec: IndicatorSpec) -> str:
    head = ",".join(["date", *(output.name for output in spec.outputs)])
    return f"{head}\n{','.join([_DATES[-1], *(str(_numbers(output)[-1]) for output in spec.outputs)])}\n"


def _own_parameter(param: Param) -> dict[str, Any]:
    kinds = {"int": "integer", "float": "number", "bool": "boolean", "choice": "string", "source": "string"}
    schema: dict[str, Any] = {"type": kinds[param.type], "default": param.default, "example": param.default}
    if param.type == "choice" and not param.or_date:
        schema["enum"] = list(param.choices)
    if param.min is not None:
        schema["minimum"] = param.min
    if param.max is not None:
        schema["maximum"] = param.max
    description = param.description
    if param.or_date:
        description += f" One of {', '.join(param.choices)}, or a date YYYY-MM-DD."
    if param.type == "source":
        description += f" Series: {', '.join(param.choices)}."
    return _query(param.name, schema, description)


def values_paths() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every path of values and bars, and what can be asked there."""
    sma = _values_operation(CATALOGUE["sma"], [])
    yield (
        "/v1/indicators/{name}/values",
        {
            "get": {
                "tags": ["values"],
                "summary": "Values",
                "description": "One indicator of one symbol over a window of dates, from the cache or computed now. "
                "Its own parameters stand at its own path.",
                "operationId": "values",
                **sma,
                "parameters": [_NAME, *sma["parameters"]],
            }
        },
    )
    yield "/v1/symbols/{symbol}/ohlcv", {"get": _bars_operation()}
    for spec in CATALOGUE.values():
        operation = {
            "tags": [spec.family],
            "summary": f"{spec.name}: {spec.title}",
            "description": _text(spec),
            "operationId": f"values_{spec.name}",
            **_values_operation(spec, [_own_parameter(param) for param in spec.params]),
        }
        yield f"/v1/indicators/{spec.name}/values", {"get": operation}


def _bars_operation() -> dict[str, Any]:
    values: dict[str, Sequence[float]] = {
        "open": [1368.0, 1375.5],
        "high": [1381.4, 1379.9],
        "low": [1362.1, 1365.2],
        "close": [1374.2, 1371.3],
        "volume": [8_123_456, 7_654_321],
    }
    last = ",".join([_DATES[-1], *(str(column[-1]) for column in values.values())])
    return {
        "tags": ["values"],
        "summary": "Bars",
        "description": "The daily bars of a symbol, cut to what the caller's tier includes. Counts as one series.",
        "operationId": "ohlcv",
        **_operation(
            [_SYMBOL, *_common(_OF_BARS)],
            "One list per column, each as long as `dates`.",
            "Bars",
            {"symbol": _SAMPLE, "data_version": _VERSION, "dates": _DATES, "values": values},
            f"{','.join(['date', *values])}\n{last}\n",
        ),
    }


def _text(spec: IndicatorSpec) -> str:
    outputs = "\n".join(f"- `{output.name}`: {output.description}" for output in spec.outputs)
    return f"{spec.description}\n\n{outputs}\n\nTier: {spec.tier}."
