"""The OpenAPI document: FastAPI's, with our errors in place of its own."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api.schemas.problem import Problem
from api.schemas.values import COMPONENTS, values_paths

_REFERENCE = "#/components/schemas/{model}"


def problem_response(description: str) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model=Problem.__name__)}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its body itself."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": model.model_json_schema(ref_template=_REFERENCE)}},
        }
    }


PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: problem_response("No, bad, expired or revoked credentials."),
    403: problem_response("Outside the caller's tier; `required_tier` includes it."),
    404: problem_response("Not there; `did_you_mean` has the nearest names."),
    422: problem_response("Values that cannot be right, each with its place."),
    429: problem_response("The daily limit is reached, or it is too much at once; `Retry-After` says for how long."),
    503: problem_response("A part is away; `Retry-After` says when to try again."),
}
"""Responses of every route that serves clients."""

_VALUES_PROBLEMS: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    406: problem_response("None of the forms in `Accept` is served."),
}

_NAMED_PROBLEMS = {f"problem_{status}": response for status, response in _VALUES_PROBLEMS.items()}


def _named_problem(status: int | str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/problem_{status}"}


def _add_components(components: dict[str, Any]) -> None:
    problem = Problem.model_json_schema(ref_template=_REFERENCE)
    parts = problem.pop("$defs")
    ours = {
        **COMPONENTS,
        "schemas": {**COMPONENTS["schemas"], **parts, Problem.__name__: problem},
        "responses": {**COMPONENTS["responses"], **_NAMED_PROBLEMS},
    }
    for kind, named in ours.items():
        components.setdefault(kind, {}).update(named)


def install(app: FastAPI) -> None:
    """Makes `app` serve this document. It is put together when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            _add_components(document["components"])
            for path, item in values_paths():
                item["get"]["responses"] |= {str(status): _named_problem(status) for status in _VALUES_PROBLEMS}
                document["paths"][path] = item
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way
