"""The catalogue: every indicator there is, by name. A new family is one file and one line here."""

from collections.abc import Mapping
from types import MappingProxyType

from common.catalogue import bands, momentum, moving_averages
from common.catalogue.spec import IndicatorSpec
from common.errors import NotFound

_FAMILIES = (moving_averages, momentum, bands)

CATALOGUE: Mapping[str, IndicatorSpec] = MappingProxyType(
    {spec.name: spec for family in _FAMILIES for spec in family.SPECS}
)


def find(name: str) -> IndicatorSpec:
    """The indicator called `name` (lower case). Raises NotFound with the nearest names."""
    spec = CATALOGUE.get(name)
    if spec is None:
        raise NotFound("indicator", name, tuple(CATALOGUE))
    return spec
