"""What the OpenAPI document says of values: parameters, forms and an example."""

from typing import Any

from common.catalogue import CATALOGUE
from common.catalogue.spec import Param
from common.query import Form, Interval, Warmup

_EXAMPLE = {
    "symbol": "RELIANCE",
    "indicator": "sma",
    "params": {"period": 3, "source": "close"},
    "interval": "1d",
    "start_date": "2025-09-26",
    "end_date": "2025-09-30",
    "warmup": "full",
    "lookback": 2,
    "data_version": "4be2a9d0c6f1e837",
    "engine_version": "1.0.0",
    "dates": ["2025-09-26", "2025-09-29", "2025-09-30"],
    "values": {"sma": [1378.5, 1374.2, 1371.3]},
}


def _query(name: str, schema: dict[str, Any], description: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": description}


def _own_parameters() -> list[dict[str, Any]]:
    """One entry per parameter name; which indicators know it, and with which default, stands in its description."""
    users: dict[str, list[tuple[str, Param]]] = {}
    for spec in CATALOGUE.values():
        for param in spec.params:
            users.setdefault(param.name, []).append((spec.name, param))
    return [_own_parameter(name, known) for name, known in users.items()]


def _own_parameter(name: str, known: list[tuple[str, Param]]) -> dict[str, Any]:
    _, first = known[0]
    schema: dict[str, Any] = {"type": {"int": "integer", "float": "number", "choice": "string"}[first.type]}
    if first.choices:
        schema["enum"] = list(first.choices)
    if first.min is not None:
        schema["minimum"] = min(p.min for _, p in known if p.min is not None)
    if first.max is not None:
        schema["maximum"] = max(p.max for _, p in known if p.max is not None)
    defaults = ", ".join(f"{indicator} (default {p.default})" for indicator, p in known)
    return _query(name, schema, f"{first.description} Of: {defaults}.")


_DATE = {"type": "string", "format": "date"}

VALUES_OPENAPI: dict[str, Any] = {
    "security": [{"OAuth2PasswordBearer": []}],
    "parameters": [
        _query("symbol", {"type": "string", "example": "RELIANCE"}, "One of GET /v1/symbols.", required=True),
        _query("start_date", _DATE, "First day; by default the first the caller's tier includes."),
        _query("end_date", _DATE, "Last day; by default the data set's last."),
        _query("interval", {"type": "string", "enum": list(Interval), "default": "1d"}, "Length of a bar."),
        _query(
            "warmup",
            {"type": "string", "enum": list(Warmup), "default": "full"},
            "`full` computes over the whole history and then cuts; `none` sees the rows of the window alone.",
        ),
        _query("include_ohlcv", {"type": "boolean", "default": False}, "Add the bars."),
        *_own_parameters(),
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "example": "wait=5"},
            "description": "`wait=N` waits N seconds (0 to 60) for an answer that is not in the cache.",
        },
    ],
    "responses": {
        "200": {
            "description": "One list per output, each as long as `dates`; null where there is no value.",
            "headers": {
                "ETag": {"schema": {"type": "string"}},
                "X-Cache": {"schema": {"type": "string", "enum": ["HIT", "MISS"]}},
            },
            "content": {
                Form.JSON.media_type: {"schema": {"type": "object"}, "example": _EXAMPLE},
                Form.CSV.media_type: {"schema": {"type": "string"}, "example": "date,sma\n2025-09-30,1371.3\n"},
            },
        },
        "202": {"description": "Not computed in time; `Location` names a job for the same query."},
        "304": {"description": "`If-None-Match` names the current answer; not counted."},
    },
}
