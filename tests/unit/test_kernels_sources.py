"""What numba's cache asks of the kernels' source: it goes by the time of a function's own file alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker import kernels

FILES = sorted(Path(kernels.__file__).parent.glob("*.py"))


def _is_compiled(function: ast.FunctionDef) -> bool:
    return any("njit" in ast.unparse(decorator) for decorator in function.decorator_list)


def compiled(file: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and _is_compiled(node):
            yield node


COMPILED = {file.stem: {function.name for function in compiled(file)} for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_compiled_function_calls_one_of_another_file(file: Path) -> None:
    imported = {
        alias.asname or alias.name: node.module.rpartition(".")[2]
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("worker.kernels")
        for alias in node.names
    }
    elsewhere = {name for name, module in imported.items() if name in COMPILED.get(module, ())}
    for function in compiled(file):
        calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
        called = {call.id for call in calls if isinstance(call, ast.Name)}
        assert not called & elsewhere, f"{function.name} calls {called & elsewhere}"
        for call in calls:
            if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name):
                assert call.value.id not in COMPILED, f"{function.name} calls {ast.unparse(call)}"


def test_compiled_functions_are_found() -> None:
    assert "rolling_mean" in COMPILED["windows"]
    assert sum(map(len, COMPILED.values())) > 100
