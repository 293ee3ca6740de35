"""Lines of queries to warm: what they mean, and what is said of those that mean nothing; the count of what is asked."""

from datetime import date
from itertools import pairwise
from types import MappingProxyType
from urllib.parse import quote

import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from api.asked import Asked
from common.catalogue import CATALOGUE
from common.dataset import Manifest, SymbolInfo
from common.errors import InvalidParameters, KalpiError, NotAllowed, NotFound
from common.plan import plan_bars, plan_values
from common.query import BARS, Form, IndicatorQuery
from common.tiers import TIERS, TierName
from common.warming import asked_text, batches, lines_of, read_line, read_lines
from tests.stack import ROOT

FIRST, AS_OF = date(2022, 9, 30), date(2025, 9, 30)
NAMES = ("BAJAJ-AUTO", "M&M", "RELIANCE", "TCS", "A B?%20")
MANIFEST = Manifest(
    data_version="v",
    as_of=AS_OF,
    rows=756 * len(NAMES),
    synthetic=True,
    source={},
    symbols=MappingProxyType({name: SymbolInfo(name, FIRST, AS_OF, 756) for name in sorted(NAMES)}),
)
STARTS = {name: tier.window_start(AS_OF) for name, tier in TIERS.items()}


def read(text: str) -> list[IndicatorQuery]:
    return read_line(text, MANIFEST)


# --- what a line means


@pytest.mark.parametrize("tier", TierName)
@pytest.mark.parametrize("form", [Form.JSON, Form.CSV])
@pytest.mark.parametrize("symbol", NAMES)
def test_what_was_asked_is_read_as_it_was_answered(tier: TierName, form: Form, symbol: str) -> None:
    words = [("symbol", symbol), ("period", "20"), ("interval", "1w"), ("include_ohlcv", "true")]
    query_string = "&".join(f"{name}={quote(value)}" for name, value in words)
    target = f"/v1/indicators/sma/values?{query_string}"
    answered = plan_values("sma", words, form, MANIFEST).query_for(TIERS[tier])
    assert read(asked_text(tier, form, target)) == [answered]


@pytest.mark.parametrize("symbol", NAMES)
def test_bars_too(symbol: str) -> None:
    target = f"/v1/symbols/{quote(symbol)}/ohlcv?end_date=2025-08-29"
    answered = plan_bars(symbol, [("end_date", "2025-08-29")], Form.CSV, MANIFEST).query_for(TIERS[TierName.PRO])
    assert read(asked_text(TierName.PRO, Form.CSV, target)) == [answered]
    assert answered.indicator == BARS


def test_a_path_that_ends_in_a_question_mark_is_one_without_a_query_string() -> None:
    assert read("free /v1/symbols/RELIANCE/ohlcv?") == read("free /v1/symbols/RELIANCE/ohlcv")


def test_the_short_form_is_the_long_one() -> None:
    assert read("macd?symbol=RELIANCE") == read("/v1/indicators/macd/values?symbol=RELIANCE")


def test_an_alias_is_the_same_query() -> None:
    alias, spec = next((alias, spec) for spec in CATALOGUE.values() for alias in spec.aliases)
    assert read(f"{alias}?symbol=RELIANCE") == read(f"{spec.name}?symbol=RELIANCE")


@pytest.mark.parametrize(
    ("name", "tiers"),
    [("sma", ["free", "pro", "premium"]), ("rsi", ["pro", "premium"]), ("bbands", ["premium"])],
)
def test_without_a_tier_it_is_for_every_tier_that_may_ask(name: str, tiers: list[str]) -> None:
    queries = read(f"{name}?symbol=RELIANCE")
    assert [query.start_date for query in queries] == [STARTS[TierName(tier)] for tier in tiers]
    assert {query.form for query in queries} == {Form.JSON}
    assert [read(f"{tier} {name}?symbol=RELIANCE") for tier in tiers] == [[query] for query in queries]


def test_tiers_that_would_get_the_same_are_one() -> None:
    queries = read("csv sma?symbol=RELIANCE&start_date=2025-09-01")
    assert [(query.start_date, query.form) for query in queries] == [(date(2025, 9, 1), Form.CSV)]


def test_a_source_decides_the_tier_as_well() -> None:
    assert len(read("sma?symbol=RELIANCE&source=rsi(14)")) == 2


@pytest.mark.parametrize("target", ["sma?symbol=*", "/v1/indicators/sma/values?symbol=*", "/v1/symbols/*/ohlcv"])
def test_a_star_is_every_symbol(target: str) -> None:
    queries = read(f"pro {target}")
    assert sorted(query.symbol for query in queries) == sorted(NAMES)
    for query in queries:
        assert [query] == read(f"pro {target.replace('*', quote(query.symbol, safe=''))}")


# --- what is wrong with a line


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("smaa?symbol=RELIANCE", NotFound, "indicator 'smaa'"),
        ("sma?symbol=RELIANC", NotFound, "symbol 'RELIANC'"),
        ("sma?symbol=RELIANCE&period=0", InvalidParameters, "period"),
        ("sma?symbol=RELIANCE&perod=5", InvalidParameters, "period"),
        ("sma?symbol=*&symbol=TCS", InvalidParameters, "more than once"),
        ("sma", InvalidParameters, "symbol: is missing"),
        ("pro bbands?symbol=RELIANCE", NotAllowed, "premium includes it"),
        ("free sma?symbol=*&start_date=2024-10-01", NotAllowed, "pro includes it"),
        ("sma?symbol=RELIANCE&start_date=2001-01-01", NotAllowed, "every tier"),
        ("gold sma?symbol=RELIANCE", InvalidParameters, "'gold' is not a tier"),
        ("json pro sma?symbol=RELIANCE", InvalidParameters, "'pro' is not a tier"),
        ("pro", InvalidParameters, "names no target"),
        ("pro csv", InvalidParameters, "names no target"),
        ("/v1/indicators/sma?symbol=RELIANCE", InvalidParameters, "no path of values"),
        ("/v1/symbols/RELIANCE/ohlcv?period=3", InvalidParameters, "period"),
    ],
)
def test_what_is_wrong_is_said(text: str, kind: type[KalpiError], said: str) -> None:
    with pytest.raises(kind, match=said):
        read(text)


def test_the_line_is_named() -> None:
    text = "# popular\n\nsma?symbol=*\n  rsi?symbol=M%26M  \nsmaa?symbol=RELIANCE\n"
    with pytest.raises(InvalidParameters) as raised:
        read_lines(lines_of(text), MANIFEST, "popular.txt line")
    said = str(raised.value)
    assert said.startswith("popular.txt line 5: 'smaa?symbol=RELIANCE': indicator 'smaa' not found; did you mean ")
    assert isinstance(raised.value.__cause__, NotFound)


def test_comments_are_no_queries_and_repetitions_are_one() -> None:
    text = "# popular\n\nsma?symbol=M%26M\n \t\nsma?symbol=M%26M&period=20&interval=1d\n#rsi?symbol=M%26M"
    assert read_lines(lines_of(text), MANIFEST) == read("sma?symbol=M%26M")


def test_the_lines_of_the_documentation_can_be_read() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text()
    block = text[text.index("# Lines that begin with #") :].partition("```")[0]
    queries = read_lines(lines_of(block), MANIFEST)
    assert len(queries) == 3 * len(NAMES) + 1 + 1 + 3


@given(st.text(max_size=60) | st.text("prosjnfeumavl /?=&*%v1", max_size=60))
def test_any_text_is_read_or_refused_on_purpose(text: str) -> None:
    try:
        queries = read(text)
    except KalpiError:
        return
    assert queries


# --- messages


def test_what_is_computed_together_travels_together() -> None:
    queries = [query for n in range(5, 65) for query in read(f"sma?symbol=RELIANCE&period={n}")]
    mixed = read("ema?symbol=*") + queries + read("ema?symbol=*&warmup=none")
    found = list(batches(mixed))
    assert [len(batch) for batch in found[:-1]] == [50] * (len(found) - 1)
    assert 0 < len(found[-1]) <= 50
    assert sorted(map(str, mixed)) == sorted(str(query) for batch in found for query in batch)
    in_order = [query for batch in found for query in batch]
    runs = [(a.params, a.warmup) != (b.params, b.warmup) for a, b in pairwise(in_order)]
    assert sum(runs) == 61  # each set of parameters once
    assert list(batches([])) == []


# --- counting


@pytest.fixture
def asked() -> Asked:
    """Reaches nothing before it flushes."""
    return Asked(redis.asyncio.Redis())


def test_distinct_texts_are_bounded(asked: Asked) -> None:
    for n in range(6_000):
        asked.count(f"pro json sma?symbol=S{n}")
    asked.count("pro json sma?symbol=S0")
    asked.count("pro json sma?symbol=S5999")
    assert len(asked._counts) == 5_000
    assert asked._counts["pro json sma?symbol=S0"] == 2


def test_a_long_text_is_not_counted(asked: Asked) -> None:
    asked.count("x" * 300)
    asked.count("x" * 301)
    assert asked._counts == {"x" * 300: 1}
