"""The catalogue against the names that rivals list: each is a name of ours, an alias, or left out for a reason."""

import tomllib
from pathlib import Path

import pytest

from common.catalogue import ALIASES, CATALOGUE

ROOT = Path(__file__).parents[2]
RIVALS: dict[str, list[str]] = tomllib.loads((ROOT / "tests" / "oracles" / "rivals.toml").read_text())
LEFT_OUT = {"renko", "renko_atr", "tsignals", "xsignals"}
"""What is no function of bars; docs/conventions.md says why."""


@pytest.mark.parametrize("rival", RIVALS)
def test_everything_a_rival_lists(rival: str) -> None:
    names = set(RIVALS[rival])
    assert len(names) == len(RIVALS[rival])
    assert names - set(ALIASES) - LEFT_OUT == set()


def test_what_is_left_out_is_explained_and_not_there() -> None:
    text = (ROOT / "docs" / "conventions.md").read_text()
    assert all(f"`{name}`" in text for name in LEFT_OUT)
    assert not LEFT_OUT & set(ALIASES)


def test_more_than_anybody_lists() -> None:
    assert len(CATALOGUE) >= 300
    assert len(CATALOGUE) > max(len(names) for names in RIVALS.values())
