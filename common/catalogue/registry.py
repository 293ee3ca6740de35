"""Every indicator by its name and by its aliases. Filled once, when `common.catalogue` is imported."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from common.catalogue.spec import IndicatorSpec
from common.errors import NotFound

_specs: dict[str, IndicatorSpec] = {}
_by_any_name: dict[str, IndicatorSpec] = {}

CATALOGUE: Mapping[str, IndicatorSpec] = MappingProxyType(_specs)
ALIASES: Mapping[str, IndicatorSpec] = MappingProxyType(_by_any_name)
"""The same indicators under all their names, their own and others."""


def register(specs: Iterable[IndicatorSpec]) -> None:
    """Raises ValueError when a name is taken."""
    for spec in specs:
        for name in (spec.name, *spec.aliases):
            if name in _by_any_name:
                raise ValueError(f"{spec.name} and {_by_any_name[name].name} are both called {name}")
            _by_any_name[name] = spec
        _specs[spec.name] = spec


def find(name: str) -> IndicatorSpec:
    """The indicator called `name` (lower case), or known by it elsewhere. Raises NotFound with the nearest names."""
    spec = _by_any_name.get(name)
    if spec is None:
        raise NotFound("indicator", name, tuple(_by_any_name))
    return spec
