"""The OpenAPI document: whole, and the same whatever FastAPI knows of the fast path."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from api import document
from api.routes import auth, catalogue, events, jobs, me, operations, webhooks
from common.catalogue import CATALOGUE
from common.query import Form


def made(*, with_routes_of_values: bool = False) -> dict[str, Any]:
    app = FastAPI(title="Test", version="1")
    for routes in (auth, me, catalogue, jobs, events, webhooks):
        app.include_router(routes.router, responses=document.PROBLEMS)
    app.include_router(operations.router)
    if with_routes_of_values:
        for path in ("/v1/indicators/{name}/values", "/v1/symbols/{symbol}/ohlcv"):
            app.get(path)(lambda: None)
    document.install(app)
    found = app.openapi()
    assert app.openapi() is found
    return found


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return made()


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, inner in node.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_reference_leads_somewhere(whole: dict[str, Any]) -> None:
    for reference in set(references(whole)):
        node = whole
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        assert node


def test_every_operation_has_a_name_of_its_own(whole: dict[str, Any]) -> None:
    names = [operation["operationId"] for item in whole["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)


def test_values_and_bars_are_there_in_every_form(whole: dict[str, Any]) -> None:
    paths = ["/v1/indicators/{name}/values", "/v1/symbols/{symbol}/ohlcv"]
    paths += [f"/v1/indicators/{name}/values" for name in CATALOGUE]
    for path in paths:
        operation = whole["paths"][path]["get"]
        assert set(operation["responses"]["200"]["content"]) == {form.media_type for form in Form}
        assert set(operation["responses"]) == {"200", "202", "304", "401", "403", "404", "406", "422", "429", "503"}


def test_the_path_parameters_are_named(whole: dict[str, Any]) -> None:
    for path, item in whole["paths"].items():
        named = {word[1:-1] for word in path.split("/") if word.startswith("{")}
        for operation in item.values():
            said = [p for p in operation.get("parameters", ()) if p.get("in") == "path"]
            assert {p["name"] for p in said} == named, path
            assert all(p["required"] for p in said)


def test_it_is_the_same_with_the_routes_and_without(whole: dict[str, Any]) -> None:
    other = made(with_routes_of_values=True)
    assert json.dumps(other["paths"], sort_keys=True) == json.dumps(whole["paths"], sort_keys=True)
