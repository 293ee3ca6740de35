"""The whole catalogue over HTTP: every indicator answers; chains, weeks and months, other names, warnings."""

from collections.abc import Iterator

import httpx
import pytest

from common.catalogue import CATALOGUE
from tests.stack import Stack


@pytest.fixture(scope="module")
def premium(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.create_user("premium")) as client:
        yield client


@pytest.fixture(scope="module")
def symbol(premium: httpx.Client) -> str:
    name: str = premium.get("/v1/symbols").json()["symbols"][0]["symbol"]
    return name


def values(client: httpx.Client, name: str, **params: str | int) -> httpx.Response:
    return client.get(f"/v1/indicators/{name}/values", params=params)


def test_every_indicator_answers_with_its_outputs(premium: httpx.Client, symbol: str) -> None:
    for spec in CATALOGUE.values():
        answer = values(premium, spec.name, symbol=symbol)
        assert answer.status_code == 200, (spec.name, answer.text)
        body = answer.json()
        assert body["params"] == spec.defaults
        assert list(body["values"]) == [output.name for output in spec.outputs]
        assert {len(series) for series in body["values"].values()} == {len(body["dates"])}
        assert "warnings" not in body, body["warnings"]
        for output in spec.outputs:
            if not output.gaps:
                assert None not in body["values"][output.name][spec.lookback(spec.defaults) :], spec.name


def test_one_job_computes_the_whole_catalogue(premium: httpx.Client, symbol: str) -> None:
    names = list(CATALOGUE)
    for some in (names[:180], names[180:]):
        asked = {"symbols": [symbol], "indicators": [{"name": name} for name in some], "format": "json"}
        job = premium.post("/v1/jobs", json=asked, headers={"Prefer": "wait=60"}).json()
        assert job["status"] == "completed", job
        assert job["errors"] == []
        row = premium.get(job["urls"]["result"]).json()[-1]
        for name in some:
            spec = CATALOGUE[name]
            assert set(spec.columns(spec.label(spec.defaults))) <= set(row)


def test_the_catalogue_says_what_the_specs_say(premium: httpx.Client) -> None:
    listed = premium.get("/v1/indicators").json()
    assert listed["count"] == len(CATALOGUE) >= 300
    assert [one["name"] for one in listed["indicators"]] == list(CATALOGUE)
    rsi = premium.get("/v1/indicators/rsi").json()
    assert (rsi["outputs"][0]["min"], rsi["outputs"][0]["max"]) == (0, 100)
    assert rsi["stable_period"] > rsi["lookback"] == 14
    assert premium.get("/v1/indicators/obv").json()["stable_period"] is None


def test_another_name_is_the_same_indicator(premium: httpx.Client, symbol: str) -> None:
    one, other = (values(premium, name, symbol=symbol) for name in ("sar", "psar"))
    assert other.json()["indicator"] == "sar"
    assert other.headers["x-cache"] == "HIT"
    assert one.content == other.content


def test_a_chain_by_url(premium: httpx.Client, symbol: str) -> None:
    answer = values(premium, "sma", symbol=symbol, period=5, source="macd( 12, 26 ).histogram").json()
    assert answer["params"] == {"period": 5, "source": "macd(12,26,9).histogram"}
    assert answer["lookback"] == 33 + 4
    inner = values(premium, "macd", symbol=symbol).json()["values"]["histogram"]
    assert answer["values"]["sma"][-1] == pytest.approx(sum(inner[-5:]) / 5, rel=1e-12)


def test_a_chain_in_a_job_is_the_chain_of_a_request(premium: httpx.Client, symbol: str) -> None:
    asked = {
        "symbols": [symbol],
        "indicators": [{"name": "ema", "params": {"period": 9, "source": ["rsi(14)", "obv"]}, "as": "smooth"}],
        "format": "json",
    }
    job = premium.post("/v1/jobs", json=asked, headers={"Prefer": "wait=30"}).json()
    rows = premium.get(job["urls"]["result"]).json()
    for source in ("rsi(14)", "obv"):
        single = values(premium, "ema", symbol=symbol, period=9, source=source).json()
        assert [row[f"smooth_{source}"] for row in rows] == single["values"]["ema"]


def test_a_chain_needs_the_highest_tier_in_it(stack: Stack, symbol: str) -> None:
    with stack.client(stack.create_user("free")) as free:
        assert values(free, "sma", symbol=symbol, source="ema(5)").status_code == 200
        for source, tier in (("rsi(14)", "pro"), ("ema(5,source=obv)", "premium")):
            answer = values(free, "sma", symbol=symbol, source=source)
            assert (answer.status_code, answer.json()["required_tier"]) == (403, tier)
        asked = {"symbols": [symbol], "indicators": [{"name": "sma", "params": {"source": "rsi"}}]}
        assert free.post("/v1/jobs", json=asked).status_code == 403


WRONG = [
    ("sma", {"source": "macd(12,26,9).hist"}, "source", "macd has no output 'hist'; it has macd, signal, histogram"),
    ("sma", {"source": "rsi(1)"}, "source", "period: '1' is not between 2 and 100000"),
    ("sma", {"source": "sma(source=sma(source=sma(source=sma(source=sma))))"}, "source", "too deep"),
    ("sma", {"source": "rsi(period=14,period=15)"}, "source", "gives period more than once"),
    ("macd", {"fast_period": 26, "slow_period": 12}, "fast_period", "26 is not below slow_period 12"),
    ("ichimoku", {"lookahead": "maybe"}, "lookahead", "'maybe' is not true or false"),
    ("vwap", {"anchor": "2024-02-31"}, "anchor", "'2024-02-31' is not one of"),
    ("stoch", {"k_perid": 3}, "k_perid", "did you mean"),
]


@pytest.mark.parametrize(("name", "given", "where", "msg"), WRONG)
def test_wrong_values_name_parameter_value_and_bound(
    premium: httpx.Client, symbol: str, *, name: str, given: dict[str, str | int], where: str, msg: str
) -> None:
    answer = values(premium, name, symbol=symbol, **given)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["loc"] == ["query", where]
    assert msg in error["msg"]


def test_an_unknown_indicator_names_the_nearest(premium: httpx.Client, symbol: str) -> None:
    answer = values(premium, "bolinger_bands", symbol=symbol)
    assert answer.status_code == 404
    assert "bollinger_bands" in answer.json()["did_you_mean"]


def test_a_period_beyond_the_history_is_nulls_and_a_warning(premium: httpx.Client, symbol: str) -> None:
    answer = values(premium, "sma", symbol=symbol, period=50_000)
    assert answer.status_code == 200
    body = answer.json()
    assert set(body["values"]["sma"]) == {None}
    assert "has its first value in row 50000" in body["warnings"][0]


def test_a_window_without_a_bar_has_none_that_is_open(premium: httpx.Client, symbol: str) -> None:
    answer = values(premium, "sma", symbol=symbol, interval="1mo", start_date="2099-01-01", end_date="2099-02-01")
    assert answer.json()["dates"] == []
    assert (answer.json()["last_bar_final"], answer.headers["x-last-bar-final"]) == (True, "true")


def test_a_job_says_what_may_surprise(premium: httpx.Client, symbol: str) -> None:
    plain = {"symbols": [symbol], "indicators": [{"name": "sma"}], "format": "csv"}
    job = premium.post("/v1/jobs", json=plain, headers={"Prefer": "wait=30"}).json()
    assert "warnings" not in job
    long = {**plain, "indicators": [{"name": "sma", "params": {"period": [5, 50_000]}}]}
    job = premium.post("/v1/jobs", json=long, headers={"Prefer": "wait=30"}).json()
    said = "sma_50000 has its first value in row 50000; 1 of 1 symbols have fewer rows and no value"
    assert job["warnings"] == [said]
    assert premium.get(job["urls"]["self"]).json()["warnings"] == job["warnings"]


@pytest.mark.parametrize("interval", ["1w", "1mo"])
def test_weeks_and_months(premium: httpx.Client, symbol: str, interval: str) -> None:
    answer = values(premium, "sma", symbol=symbol, period=2, interval=interval, include_ohlcv="true")
    body = answer.json()
    days = premium.get("/v1/indicators/sma/values", params={"symbol": symbol, "include_ohlcv": "true"}).json()
    assert body["interval"] == interval
    assert answer.headers["x-last-bar-final"] == str(body["last_bar_final"]).lower()
    asked = {"symbols": [symbol], "indicators": [{"name": "sma"}], "interval": interval}
    job = premium.post("/v1/jobs", json=asked, headers={"Prefer": "wait=30"}).json()
    assert body["last_bar_final"] is not any("last_bar_final is false" in text for text in job.get("warnings", []))
    assert set(body["dates"]) <= set(days["dates"])
    last = days["dates"].index(body["dates"][-2])
    closes = dict(zip(days["dates"], days["ohlcv"]["close"], strict=True))
    assert body["ohlcv"]["close"] == [closes[day] for day in body["dates"]]
    assert body["values"]["sma"][-1] == pytest.approx(sum(body["ohlcv"]["close"][-2:]) / 2)
    assert body["ohlcv"]["volume"][-1] == sum(days["ohlcv"]["volume"][last + 1 :])
    estimate = premium.post("/v1/jobs?validate_only=true", json=asked).json()
    assert abs(estimate["rows"] - len(body["dates"])) <= 5
