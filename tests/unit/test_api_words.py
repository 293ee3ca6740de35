"""Reading what requests say: Accept, Prefer, page tokens, and the parameters of a values request."""

from datetime import date
from types import MappingProxyType
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.local_cache import LocalCache
from api.negotiation import codings_for, form_for, preferred_wait
from api.paging import from_token, to_token
from api.representations import Representations, represent
from common.answer import pack, unpack
from common.dataset import Manifest, SymbolInfo
from common.errors import InvalidParameters, NotAcceptable, NotFound
from common.plan import plan_values
from common.query import Form, Warmup
from common.tiers import OUT_OF_REACH, TIERS, TierName

MANIFEST = Manifest(
    data_version="v1",
    as_of=date(2025, 9, 30),
    rows=1241,
    synthetic=False,
    source=MappingProxyType({}),
    symbols=MappingProxyType(
        {name: SymbolInfo(name, date(2020, 10, 1), date(2025, 9, 30), 1241) for name in ("BAJAJ-AUTO", "M&M")}
    ),
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Form.JSON),
        ("", Form.JSON),
        ("*/*", Form.JSON),
        ("application/json", Form.JSON),
        ("text/csv", Form.CSV),
        ("TEXT/CSV; charset=utf-8", Form.CSV),
        ("text/*", Form.CSV),
        ("text/csv;q=0.5, application/json;q=0.4", Form.CSV),
        ("text/csv, application/json", Form.JSON),
        ("application/json;q=0, */*", Form.CSV),
        ("text/html, */*;q=0.1", Form.JSON),
    ],
)
def test_accept_chooses_the_form(accept: str | None, form: Form) -> None:
    assert form_for(accept) is form


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=1", "application/json;q=0", "nonsense"])
def test_what_cannot_be_served_is_said(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="application/json"):
        form_for(accept)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [(None, None), ("", None), ("wait=5", 5), ("respond-async, wait=0", 0), ('wait="60"', 60), ("nowait=9", None)],
)
def test_prefer_wait(prefer: str | None, seconds: float | None) -> None:
    assert preferred_wait(prefer) == seconds


@pytest.mark.parametrize("prefer", ["wait=61", "wait=-1", "wait=soon", "wait=", "wait=" + "9" * 400])
def test_a_wait_out_of_bounds_names_the_bound(prefer: str) -> None:
    with pytest.raises(InvalidParameters, match="0 to 60"):
        preferred_wait(prefer)


@given(st.text(min_size=1, max_size=40))
def test_page_tokens_come_back_as_they_went(key: str) -> None:
    assert from_token(to_token(key)) == key


@pytest.mark.parametrize("token", ["%%%", "a", "Zm9v=", "\udcff", "gICA"])
def test_a_foreign_page_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidParameters, match="next_page_token"):
        from_token(token)


def _plan(words: str, name: str = "sma"):  # noqa: ANN202 - a Plan
    return plan_values(name, parse_qsl(words, keep_blank_values=True), Form.JSON, MANIFEST)


def test_defaults_come_from_the_catalogue_the_tier_and_the_data() -> None:
    plan = _plan("symbol=M%26M")
    assert plan.params == (("period", 20), ("source", "close"))
    assert plan.rank == TIERS[TierName.FREE].rank
    query = plan.query_for(TIERS[TierName.PRO])
    assert (query.symbol, query.start_date, query.end_date) == ("M&M", date(2024, 9, 30), date(2025, 9, 30))


@pytest.mark.parametrize(
    ("words", "name", "rank"),
    [
        ("symbol=M%26M&start_date=2025-06-30", "sma", 0),
        ("symbol=M%26M&start_date=2025-06-29", "sma", 1),
        ("symbol=M%26M&start_date=2024-09-29", "sma", 2),
        ("symbol=M%26M&start_date=2022-09-29", "sma", OUT_OF_REACH),
        ("symbol=M%26M&end_date=2025-06-29", "sma", 1),
        ("symbol=M%26M", "rsi", 1),
        ("symbol=M%26M", "bbands", 2),
    ],
)
def test_the_rank_a_request_needs(words: str, name: str, rank: int) -> None:
    assert _plan(words, name).rank == rank


@pytest.mark.parametrize(
    ("words", "where", "what"),
    [
        ("symbol=M%26M&period=0", "period", "'0' is not between 2 and 100000"),
        ("symbol=M%26M&period=-5", "period", "'-5' is not between"),
        ("symbol=M%26M&period=" + "9" * 400, "period", "is not a whole number"),
        ("symbol=M%26M&period=1.5", "period", "is not a whole number"),
        ("symbol=M%26M&period=", "period", "is not a whole number"),
        ("symbol=M%26M&period=%D9%A5", "period", "is not a whole number"),
        ("symbol=M%26M&source=clsoe", "source", "did you mean 'close'"),
        ("symbol=M%26M&periode=5", "periode", "did you mean 'period'"),
        ("symbol=M%26M&start_date=2024-02-31", "start_date", "is not a day of the calendar"),
        ("symbol=M%26M&start_date=20240229", "start_date", "write YYYY-MM-DD"),
        ("symbol=M%26M&start_date=2025-09-02&end_date=2025-09-01", "start_date", "is after end_date"),
        ("symbol=M%26M&interval=5m", "interval", "is not one of 1d"),
        ("symbol=M%26M&warmup=half", "warmup", "is not one of full, none"),
        ("symbol=M%26M&include_ohlcv=1", "include_ohlcv", "is not true or false"),
        ("symbol=M%26M&symbol=M%26M", "symbol", "more than once"),
        ("symbol=", "symbol", "is missing"),
        ("period=5", "symbol", "is missing"),
    ],
)
def test_bad_words_are_named_with_what_would_be_right(words: str, where: str, what: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        _plan(words)
    assert [(e.loc, what in e.msg) for e in refused.value.errors] == [(("query", where), True)]


def test_every_wrong_word_is_named_at_once() -> None:
    with pytest.raises(InvalidParameters) as refused:
        _plan("symbol=M%26M&period=0&source=x&start_date=no&foo=1")
    assert {e.loc[-1] for e in refused.value.errors} == {"period", "source", "start_date", "foo"}


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(NotFound) as refused:
        _plan("symbol=BAJAJAUTO")
    assert refused.value.did_you_mean == ["BAJAJ-AUTO"]
    with pytest.raises(NotFound) as refused:
        _plan("symbol=M%26M", "rsj")
    assert "rsi" in refused.value.did_you_mean


def test_every_word_changes_the_cache_key() -> None:
    keys = {
        plan.query_for(TIERS[TierName.PREMIUM]).cache_key(version)
        for version in ("v1", "v2")
        for plan in (
            _plan("symbol=M%26M"),
            _plan("symbol=BAJAJ-AUTO"),
            _plan("symbol=M%26M&period=21"),
            _plan("symbol=M%26M&source=open"),
            _plan("symbol=M%26M&start_date=2025-09-01"),
            _plan("symbol=M%26M&end_date=2025-09-01"),
            _plan("symbol=M%26M&warmup=none"),
            _plan("symbol=M%26M&include_ohlcv=true"),
            _plan("symbol=M%26M", "ema"),
            plan_values("sma", parse_qsl("symbol=M%26M"), Form.CSV, MANIFEST),
        )
    }
    assert len(keys) == 20
    assert _plan("symbol=M%26M&warmup=none").warmup is Warmup.NONE


def _answer(size: int) -> Representations:
    return represent(unpack(pack(bytes(size))), "text/csv", last_bar_final=None)


def test_the_local_cache_keeps_the_lately_used_within_its_bound() -> None:
    cache = LocalCache(3 * (_answer(1000).size + 1))
    for key in "abc":
        cache.put(key, _answer(1000))
    assert cache.get("a") is not None
    cache.put("d", _answer(1000))
    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]
    cache.put("e", _answer(10_000))  # larger than all of it: not kept, nothing displaced
    assert [key for key in "abcde" if cache.get(key) is not None] == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("accept_encoding", "codings"),
    [
        (None, ("identity",)),
        (b"", ("identity",)),
        (b"gzip, deflate", ("gzip", "identity")),
        (b"gzip, deflate, br, zstd", ("zstd", "gzip", "identity")),
        (b"zstd;q=0.5, GZIP", ("gzip", "zstd", "identity")),
        (b"gzip;q=0, *;q=0.1", ("zstd", "identity")),
        (b"*", ("zstd", "gzip", "identity")),
        (b"identity, gzip;q=0.2", ("identity", "gzip")),
        (b"br;q=1, gzip;q=bad", ("identity",)),
        (b"\xff;;=,,", ("identity",)),
    ],
)
def test_codings_are_chosen_by_what_the_caller_takes(accept_encoding: bytes | None, codings: tuple[str, ...]) -> None:
    assert tuple(dict.fromkeys(codings_for(accept_encoding))) == tuple(dict.fromkeys((*codings, "identity")))


def test_each_coding_has_a_strong_tag_of_its_own_and_each_is_recognised() -> None:
    answer = represent(unpack(pack(b"plain", b"zipped", b"dense")), "application/json", last_bar_final=False)
    chosen = {coding: answer.chosen((coding,)) for coding in ("identity", "gzip", "zstd")}
    assert {coding: r.body for coding, r in chosen.items()} == {
        "identity": b"plain",
        "gzip": b"zipped",
        "zstd": b"dense",
    }
    assert len({r.etag for r in chosen.values()}) == 3
    for coding, representation in chosen.items():
        assert answer.held(f'"other", {representation.etag.decode()}') is representation
        headers = dict(representation.headers)
        assert headers.get(b"content-encoding", b"identity") == coding.encode()
        assert headers[b"content-length"] == str(len(representation.body)).encode()
        assert headers[b"x-last-bar-final"] == b"false"
        assert set(representation.marks) < set(representation.headers)
    assert answer.held("*") is not None
    assert answer.held('"other"') is None


def test_what_nobody_compressed_goes_out_plain() -> None:
    assert _answer(10).chosen(("zstd", "gzip", "identity")).body == bytes(10)
