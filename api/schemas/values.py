"""What the OpenAPI document says of values: a path per indicator with its own parameters, forms and an example.

One route serves all of them; the paths of the single indicators are there so that each shows its own parameters.
"""

from collections.abc import Iterator
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


def _query(name: str, schema: dict[str, Any], description: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": description}


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
    "prefer": {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "example": "wait=5"},
        "description": "`wait=N` waits N seconds (0 to 60) for an answer that is not in the cache.",
    },
}

_ANSWER = {"$ref": "#/components/schemas/Values"}
_SERIES = {"type": "array", "items": {"type": ["number", "null"]}}
_TEXT, _DAY = {"type": "string"}, {"type": "string", "format": "date"}

VALUES_SCHEMA: dict[str, Any] = {
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

COMPONENTS: dict[str, dict[str, Any]] = {
    "parameters": {f"values_{name}": parameter for name, parameter in _COMMON.items()},
    "responses": {
        "values_job": {"description": "Not computed in time; `Location` names a job for the same query."},
        "values_unchanged": {"description": "`If-None-Match` names the current answer; not counted."},
    },
    "headers": {
        "values_etag": {"schema": {"type": "string"}},
        "values_cache": {"schema": {"type": "string", "enum": ["HIT", "MISS"]}},
        "values_last_bar": {
            "schema": {"type": "string", "enum": ["true", "false"]},
            "description": "Of weeks and months: whether the last bar can get no more days.",
        },
    },
}
"""What the paths of all indicators refer to."""


def _operation(spec: IndicatorSpec, own: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "security": [{"OAuth2PasswordBearer": []}],
        "parameters": [
            {"$ref": "#/components/parameters/values_symbol"},
            *own,
            *({"$ref": f"#/components/parameters/values_{name}"} for name in _COMMON if name != "symbol"),
        ],
        "responses": {
            "200": {
                "description": "One list per output, each as long as `dates`; null where there is no value. "
                "`warnings` is there when there is something to say, such as a lookback longer than the history.",
                "headers": {
                    "ETag": {"$ref": "#/components/headers/values_etag"},
                    "X-Cache": {"$ref": "#/components/headers/values_cache"},
                    "X-Last-Bar-Final": {"$ref": "#/components/headers/values_last_bar"},
                },
                "content": {
                    Form.JSON.media_type: {"schema": _ANSWER, "example": _example(spec)},
                    Form.CSV.media_type: {"schema": {"type": "string"}, "example": _csv_example(spec)},
                },
            },
            "202": {"$ref": "#/components/responses/values_job"},
            "304": {"$ref": "#/components/responses/values_unchanged"},
        },
    }


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
        "data_version": "4be2a9d0c6f1e837",
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


VALUES_OPENAPI: dict[str, Any] = _operation(CATALOGUE["sma"], [])
"""The route itself. The indicator's own parameters stand at the paths of `indicator_paths`."""


def indicator_paths() -> Iterator[tuple[str, dict[str, Any]]]:
    """A path per indicator, and what can be asked there."""
    for spec in CATALOGUE.values():
        operation = {
            "tags": [spec.family],
            "summary": f"{spec.name}: {spec.title}",
            "description": _text(spec),
            "operationId": f"values_{spec.name}",
            **_operation(spec, [_own_parameter(param) for param in spec.params]),
        }
        yield f"/v1/indicators/{spec.name}/values", {"get": operation}


def _text(spec: IndicatorSpec) -> str:
    outputs = "\n".join(f"- `{output.name}`: {output.description}" for output in spec.outputs)
    return f"{spec.description}\n\n{outputs}\n\nTier: {spec.tier}."
