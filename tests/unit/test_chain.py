"""Sources that are outputs of other indicators: how they are written, and what is said of those that mean nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import CATALOGUE, chain, find
from common.catalogue.chain import MAX_DEPTH, canonical, link
from common.catalogue.spec import SOURCES, IndicatorSpec
from common.errors import InvalidParameters

CANONICAL = [
    ("close", "close"),
    ("hlc3", "hlc3"),
    ("obv", "obv"),
    ("obv()", "obv"),
    ("rsi", "rsi(14)"),
    ("rsi(14)", "rsi(14)"),
    ("rsi( 14 )", "rsi(14)"),
    ("rsi(period=14)", "rsi(14)"),
    ("rsi(7, source=hlc3)", "rsi(7,source=hlc3)"),
    ("rsi(7,source=close)", "rsi(7)"),
    ("macd", "macd(12,26,9).macd"),
    ("macd(12,26,9).histogram", "macd(12,26,9).histogram"),
    ("macd(5,signal_period=3).signal", "macd(5,26,3).signal"),
    ("bbands(20,2.50).upper", "bbands(20,2.5).upper"),
    ("bbands(20,2).upper", "bbands(20,2).upper"),
    ("ema(10,source=rsi(14))", "ema(10,source=rsi(14))"),
    ("ema(10,source=macd)", "ema(10,source=macd(12,26,9).macd)"),
    ("bollinger_bands.lower", "bbands(20,2).lower"),
    (" close ", "close"),
    (" ema ( 10 , source = rsi( 14 ) ) ", "ema(10,source=rsi(14))"),
    ("macd( 12, 26, 9 ) . histogram", "macd(12,26,9).histogram"),
    ("bbands(20,1.23456789012345).upper", "bbands(20,1.23456789012345).upper"),
    ("bbands(20,2.0000001).upper", "bbands(20,2.0000001).upper"),
    ("sarext(-0.0)", "sarext(0,0,0.02,0.02,0.2,0.02,0.02,0.2)"),
    ("sarext(1234567)", "sarext(1234567,0,0.02,0.02,0.2,0.02,0.02,0.2)"),
]


@pytest.mark.parametrize(("text", "expected"), CANONICAL)
def test_equal_sources_are_equal_texts(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert canonical(expected) == expected


def _tree(leaf: str, depth: int) -> str:
    for _ in range(depth):
        leaf = f"correl(source={leaf},source2={leaf})"
    return leaf


WRONG = [
    ("clsoe", "did you mean 'close'?"),
    ("rsii(14)", "did you mean 'rsi'?"),
    ("", "'' is neither one of open, high"),
    ("rsi(14", "is neither one of"),
    ("rsi(14))", "a bracket too many"),
    ("ema(10,source=rsi(14)", "a bracket too few"),
    ("RSI(14)", "is neither one of"),
    ("rsi(1)", "period: '1' is not between 2 and 100000"),
    ("rsi(x)", "'x' is not a whole number"),
    ("rsi(14,15)", "'15' is too much; rsi takes period by place"),
    ("obv(3)", "'3' is too much; obv takes nothing by place"),
    ("bbands(20,2,ema)", "'ema' is too much; bbands takes period, multiplier by place, all else as name=value"),
    ("rsi(period=14,period=15)", "gives period more than once"),
    ("rsi(14,period=15)", "gives period more than once"),
    ("rsi(1 4)", "'1 4' is not a whole number"),
    ("rs i(14)", "is neither one of"),
    ("close(3)", "close is a series of the bar, without parameters or outputs"),
    ("rsi(period=14,length=3)", "'length' is not a parameter of rsi"),
    ("macd(26,12)", "26 is not below slow_period 12"),
    ("macd.hist", "macd has no output 'hist'; it has macd, signal, histogram"),
    ("rsi(14).upper", "rsi has no output 'upper'; it has rsi"),
    ("close.high", "close is a series of the bar, without parameters or outputs"),
    ("rsi(14,source=nope)", "is neither an indicator nor a series"),
    ("rsi(" * 300 + ")" * 300, "is too long; at most 400 letters are read"),
    (_tree("kst", 3), "letters written out; at most 400 are read"),
]


@pytest.mark.parametrize(("text", "msg"), WRONG)
def test_what_is_wrong_is_said(text: str, msg: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at below
        canonical(text)
    assert msg in str(caught.value)
    assert len(str(caught.value)) < 300


def nested(depth: int) -> str:
    text = "rsi(14)"
    for _ in range(depth - 1):
        text = f"sma(3,source={text})"
    return text


def test_depth() -> None:
    assert canonical(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(ValueError, match=f"too deep; a source may be {MAX_DEPTH} deep"):
        canonical(nested(MAX_DEPTH + 1))


@given(st.floats(0, 100), st.floats(-1e12, 1e12), st.integers(2, 100_000))
def test_numbers_keep_all_their_digits(multiplier: float, start: float, period: int) -> None:
    bands = dict(link(canonical(f"bbands({period},{multiplier!r}).upper")).params)
    assert (bands["period"], bands["multiplier"]) == (period, multiplier)
    assert dict(link(canonical(f"sarext({start!r})")).params)["start_value"] == start


@given(st.text(alphabet="rsimacdobvkltep(),.=0123456789 source", max_size=60))
def test_any_text_is_a_source_or_a_value_error(text: str) -> None:
    try:
        found = canonical(text)
    except ValueError:
        return
    assert canonical(found) == found


def params(name: str, **given: Any) -> tuple[IndicatorSpec, dict[str, Any]]:  # noqa: ANN401
    spec = find(name)
    return spec, spec.read_params(given)


def test_lookbacks_add_up() -> None:
    assert chain.lookback(*params("sma", period=10)) == 9
    assert chain.lookback(*params("sma", period=10, source="rsi(14)")) == 9 + 14
    assert chain.lookback(*params("sma", period=10, source="macd.histogram")) == 9 + 33
    assert chain.lookback(*params("sma", period=10, source="ema(5,source=rsi(14))")) == 9 + 4 + 14
    assert chain.lookback(*params("correl", period=30, source="sma(20)", source2="ema(50)")) == 29 + 49


def test_a_chain_needs_the_tier_of_all_its_indicators() -> None:
    spec, given = params("sma", source="ema(3,source=bbands(20,2).upper)")
    assert [s.name for s in chain.required(spec, given)] == ["sma", "ema", "bbands"]


def test_each_source_of_the_catalogue_takes_a_chain() -> None:
    for spec in CATALOGUE.values():
        for param in spec.params:
            if param.type == "source":
                assert spec.read_params({param.name: "rsi"})[param.name] == "rsi(14)"
                assert set(param.choices) == set(SOURCES)


def test_the_place_of_a_wrong_source_is_named() -> None:
    with pytest.raises(InvalidParameters) as caught:
        find("sma").read_params({"source": "macd.hist"}, ("query",))
    (error,) = caught.value.errors
    assert error.loc == ("query", "source")


def test_a_link_says_which_output() -> None:
    assert link("macd(12,26,9).histogram").output == 2
    assert link("macd(12,26,9).histogram").lookback == 33
