"""The catalogue's own order, and how parameters are read."""

import re
from typing import Any

import pytest

from common.catalogue import CATALOGUE, find
from common.catalogue.spec import SOURCES, IndicatorSpec
from common.catalogue.stability import rows_to_forget
from common.errors import InvalidParameters, NotFound
from common.tiers import TierName

EVERY = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=CATALOGUE)

TIERS = {"sma": "free", "ema": "free", "rsi": "pro", "macd": "pro"}


def test_tiers_are_those_of_the_price_list() -> None:
    assert {spec.name: spec.tier for spec in CATALOGUE.values() if spec.tier != TierName.PREMIUM} == TIERS


@EVERY
def test_a_spec_is_whole(spec: IndicatorSpec) -> None:
    assert CATALOGUE[spec.name] is spec
    assert re.fullmatch(r"[a-z][a-z0-9_]*", spec.name)
    assert spec.title
    assert spec.family
    assert spec.description.endswith(".")
    assert spec.inputs
    assert spec.outputs
    assert spec.references
    for names in ([p.name for p in spec.params], [o.name for o in spec.outputs]):
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    for param in spec.params:
        assert param.read(param.default) == param.default
        assert param.description.endswith(".")
        assert bool(param.choices) == (param.type in {"choice", "source"})
        assert (param.min is None) == (param.max is None) == (not param.is_number)
    assert all(output.description.endswith(".") for output in spec.outputs)
    for name in spec.inputs:
        assert name in SOURCES or name == "date" or name in {"source", "source2"} & set(spec.defaults)
    assert [p.name for p in spec.params if p.type == "source"] == [n for n in spec.inputs if n.startswith("source")]
    assert all(find(alias) is spec for alias in spec.aliases)


@EVERY
def test_defaults_are_a_valid_set(spec: IndicatorSpec) -> None:
    assert spec.read_params({}) == spec.defaults
    stable = spec.stable_period(spec.defaults)
    assert spec.lookback(spec.defaults) >= 0
    assert stable is None or spec.lookback(spec.defaults) <= stable
    assert spec.lookahead(spec.defaults) is False


@EVERY
def test_text_and_json_read_alike(spec: IndicatorSpec) -> None:
    as_text = {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in spec.defaults.items()}
    assert spec.read_params(as_text) == spec.defaults
    assert list(spec.read_params(dict(reversed(as_text.items())))) == [p.name for p in spec.params]


LABELS: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("sma", {"period": 10}, "sma_10", ["sma_10"]),
    ("rsi", {"source": "hlc3"}, "rsi_14_hlc3", ["rsi_14_hlc3"]),
    ("macd", {}, "macd_12_26_9", ["macd_12_26_9.macd", "macd_12_26_9.signal", "macd_12_26_9.histogram"]),
    ("bbands", {}, "bbands_20_2", ["bbands_20_2.upper", "bbands_20_2.middle", "bbands_20_2.lower"]),
    ("bbands", {"multiplier": 2.5}, "bbands_20_2.5", [f"bbands_20_2.5.{o}" for o in ("upper", "middle", "lower")]),
]


@pytest.mark.parametrize(("name", "params", "label", "columns"), LABELS)
def test_labels(name: str, params: dict[str, Any], label: str, columns: list[str]) -> None:
    spec = find(name)
    assert spec.label(spec.read_params(params)) == label
    assert spec.columns(label) == columns


LOOKBACKS = [
    ("sma", {"period": 10}, 9),
    ("ema", {"period": 10}, 9),
    ("rsi", {"period": 14}, 14),
    ("macd", {}, 33),
    ("macd", {"signal_period": 1}, 25),
    ("bbands", {"period": 2}, 1),
]


@pytest.mark.parametrize(("name", "params", "rows"), LOOKBACKS)
def test_lookbacks(name: str, params: dict[str, Any], rows: int) -> None:
    spec = find(name)
    assert spec.lookback(spec.read_params(params)) == rows


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("sma", {"period": 0}, "period", "0 is not between 2 and 100000"),
    ("sma", {"period": 1}, "period", "1 is not between"),
    ("sma", {"period": -5}, "period", "-5 is not between"),
    ("sma", {"period": "100001"}, "period", "is not between"),
    ("sma", {"period": "9" * 400}, "period", "is not a whole number"),
    ("sma", {"period": 10**400}, "period", "is not between"),
    ("sma", {"period": "14.5"}, "period", "'14.5' is not a whole number"),
    ("sma", {"period": 14.5}, "period", "14.5 is not a whole number"),
    ("sma", {"period": True}, "period", "True is not a whole number"),
    ("sma", {"period": None}, "period", "None is not a whole number"),
    ("sma", {"period": "٣"}, "period", "is not a whole number"),
    ("sma", {"period": ""}, "period", "'' is not a whole number"),
    ("sma", {"period": [10]}, "period", "is not a whole number"),
    ("sma", {"period": float("inf")}, "period", "is not a whole number"),
    ("sma", {"period": float("nan")}, "period", "is not a whole number"),
    ("sma", {"source": "clsoe"}, "source", "did you mean 'close'?"),
    ("sma", {"source": 3}, "source", "3 is not one of open, high"),
    ("ichimoku", {"lookahead": "yes"}, "lookahead", "'yes' is not true or false"),
    ("ichimoku", {"lookahead": 1}, "lookahead", "1 is not true or false"),
    ("vwap", {"anchor": "2024-02-30"}, "anchor", "'2024-02-30' is not one of"),
    ("vwap", {"anchor": "moth"}, "anchor", "or a date YYYY-MM-DD; did you mean 'month'?"),
    ("sma", {"length": 10}, "length", "'length' is not a parameter of sma"),
    ("sma", {"perod": 10}, "perod", "did you mean 'period'?"),
    ("bbands", {"multiplier": "nan"}, "multiplier", "'nan' is not a number"),
    ("bbands", {"multiplier": "inf"}, "multiplier", "'inf' is not a number"),
    ("bbands", {"multiplier": "1_0"}, "multiplier", "is not a number"),
    ("bbands", {"multiplier": 10**400}, "multiplier", "is not"),
    ("bbands", {"multiplier": -0.5}, "multiplier", "-0.5 is not between 0 and 100"),
    ("macd", {"fast_period": 26, "slow_period": 12}, "fast_period", "26 is not below slow_period 12"),
    ("macd", {"fast_period": 26}, "fast_period", "26 is not below slow_period 26"),
]


@pytest.mark.parametrize(("name", "raw", "where", "msg"), WRONG)
def test_wrong_values_are_named(name: str, raw: dict[str, Any], where: str, msg: str) -> None:
    with pytest.raises(InvalidParameters) as caught:
        find(name).read_params(raw, ("query",))
    (error,) = caught.value.errors
    assert error.loc == ("query", where)
    assert msg in error.msg
    assert len(error.msg) < 200


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(InvalidParameters) as caught:
        find("macd").read_params({"fast_period": "x", "slow_period": "y", "z": 1})
    assert {error.loc[0] for error in caught.value.errors} == {"fast_period", "slow_period", "z"}


def test_unknown_indicator_names_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        find("mcad")
    assert "macd" in caught.value.did_you_mean


@pytest.mark.parametrize("alpha", [1 / 14, 2 / 21, 0.5])
def test_a_seed_is_forgotten_in_time(alpha: float) -> None:
    rows = rows_to_forget(alpha)
    assert (1 - alpha) ** rows <= 1e-6
    assert (1 - alpha) ** (rows - 1) > 1e-6


def test_what_follows_at_once_has_nothing_to_forget() -> None:
    assert rows_to_forget(1.0) == 0
