"""Adaptive averages, filters and families of averages against plain formulations, one symbol after the other."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from common.errors import InvalidParameters
from tests.oracles.bars import walk
from tests.oracles.formulas import check_formula
from worker import kernels

BARS = walk(190, 3, 41)


def seeded(x: pd.Series, period: int, alpha: float) -> pd.Series:
    """An exponential average that starts from a mean, NaN before."""
    start = pd.Series([x.iloc[:period].mean()], [x.index[period - 1]])
    return pd.concat([start, x.iloc[period:]]).ewm(alpha=alpha, adjust=False).mean().reindex(x.index)


def vidya(x: pd.Series, p: dict[str, Any]) -> list[pd.Series]:
    """cmo: pandas-ta, from the momentum's own sums of gains and losses; deviation: tulip."""
    if p["convention"] == "cmo":
        gain, loss = (
            x.diff().clip(lower=0).rolling(p["index_period"]).sum(),
            -x.diff().clip(upper=0).rolling(p["index_period"]).sum(),
        )
        index = ((gain - loss) / (gain + loss)).abs()
        first = max(p["period"], p["index_period"]) - 1
        value = x[first + 1 - p["period"] : first + 1].mean()
    else:
        index = x.rolling(p["index_period"]).std(ddof=0) / x.rolling(p["long_period"]).std(ddof=0)
        first = p["long_period"] - 2
        value = x[first]
    out = pd.Series(np.nan, x.index)
    out[first] = value
    for t in range(first + 1, len(x)):
        weight = 2 / (p["period"] + 1) * index[t]
        value = weight * x[t] + (1 - weight) * value
        out[t] = value
    return [out]


def mcginley(x: pd.Series, p: dict[str, Any]) -> list[pd.Series]:
    """McGinley: MD + (x - MD) / (k N (x / MD)^4)."""
    out = x.copy()
    for t in range(1, len(x)):
        out[t] = out[t - 1] + (x[t] - out[t - 1]) / (p["factor"] * p["period"] * (x[t] / out[t - 1]) ** 4)
    return [out]


def jma(x: pd.Series, p: dict[str, Any]) -> list[pd.Series]:
    """As Igor Durkin read it out of Jurik's own, with his names (forextsd, jurik_1.pdf)."""
    length = 0.5 * (p["period"] - 1)
    phase_ratio = p["phase"] / 100 + 1.5
    len1 = max(math.log(math.sqrt(length)) / math.log(2.0) + 2.0, 0.0)
    pow1 = max(len1 - 2.0, 0.5)
    len2 = math.sqrt(length) * len1
    bet = len2 / (len2 + 1)
    beta = 0.45 * (p["period"] - 1) / (0.45 * (p["period"] - 1) + 2.0)
    volty, v_sum, out = [0.0], [0.0], [x[0]]
    upper = lower = ma1 = x[0]
    det0 = det1 = 0.0
    for t in range(1, len(x)):
        del1, del2 = x[t] - upper, x[t] - lower
        volty.append(0.0 if abs(del1) == abs(del2) else max(abs(del1), abs(del2)))
        v_sum.append(sum(volty[-10:]) / 10)
        average = float(np.mean(v_sum[-66:]))
        relative = min(max(volty[-1] / average if average else 0.0, 1.0), max(len1 ** (1 / pow1), 1.0))
        pow2 = relative**pow1
        kv = bet ** math.sqrt(pow2)
        upper = x[t] if del1 > 0 else x[t] - kv * del1
        lower = x[t] if del2 < 0 else x[t] - kv * del2
        alpha = beta**pow2
        ma1 = (1 - alpha) * x[t] + alpha * ma1
        det0 = (x[t] - ma1) * (1 - beta) + beta * det0
        ma2 = ma1 + phase_ratio * det0
        det1 = (ma2 - out[-1]) * (1 - alpha) ** 2 + alpha**2 * det1
        out.append(out[-1] + det1)
    return [pd.Series(out).where(pd.Series(range(len(x))) >= p["period"] - 1)]


def hwma(x: pd.Series, p: dict[str, Any]) -> list[pd.Series]:
    """The recurrence as a product with a matrix: (level, trend, acceleration) from the three before (mql5 20856)."""
    a, b, c = p["level_weight"], p["trend_weight"], p["acceleration_weight"]
    foretold = np.array([1, 1, 0.5])
    level = (1 - a) * foretold
    trend = (1 - b) * np.array([0, 1, 1]) + b * (level - [1, 0, 0])
    acceleration = (1 - c) * np.array([0, 0, 1]) + c * (trend - [0, 1, 0])
    step, gain = np.array([level, trend, acceleration]), np.array([a, a * b, a * b * c])
    state, out = np.array([x[0], 0, 0]), []
    for value in x:
        state = step @ state + gain * value
        out.append(float(foretold @ state))
    return [pd.Series(out)]


def ssf(x: pd.Series, p: dict[str, Any]) -> list[pd.Series]:
    """Ehlers, Cybernetic Analysis (2004), with his names; the filter is the one with these poles and a gain of 1."""
    n = p["period"]
    if p["poles"] == 2:
        poles = [np.exp(-(1 + s * 1j) * math.sqrt(2) * math.pi / n) for s in (1, -1)]
    else:
        poles = [*(np.exp(-(1 + s * math.sqrt(3) * 1j) * math.pi / n) for s in (1, -1)), math.exp(-2 * math.pi / n)]
    feedback = -np.real(np.poly(poles))[1:]
    out = list(x[: p["poles"]])
    for t in range(p["poles"], len(x)):
        out.append((1 - feedback.sum()) * x[t] + float(feedback @ out[: -len(poles) - 1 : -1]))
    return [pd.Series(out)]


def rainbow(x: pd.Series, p: dict[str, Any]) -> list[pd.Series]:
    """Widner (1997): averages of averages, all shown from where the last one begins."""
    strands = []
    for _ in range(10):
        x = x.rolling(p["period"]).mean()
        strands.append(x)
    return [strand.where(x.notna()) for strand in strands]


def mmar(x: pd.Series, p: dict[str, Any]) -> list[pd.Series]:
    lengths = [p["period"] + n * p["step"] for n in range(6)]
    ribbons = [seeded(x, length, 2 / (length + 1)) for length in lengths]
    return [ribbon.where(ribbons[-1].notna()) for ribbon in ribbons]


def alligator(x: pd.Series, p: dict[str, Any]) -> list[pd.Series]:
    """Williams (1995): smoothed averages moved into the future, all shown from where the last one begins."""
    lines = [
        seeded(x, p[f"{line}_period"], 1 / p[f"{line}_period"]).shift(p[f"{line}_shift"])
        for line in ("jaw", "teeth", "lips")
    ]
    whole = pd.concat(lines, axis=1).notna().all(axis=1)
    return [line.where(whole) for line in lines]


def gator(x: pd.Series, p: dict[str, Any]) -> list[pd.Series]:
    jaw, teeth, lips = alligator(x, p)
    return [(jaw - teeth).abs(), -(teeth - lips).abs()]


CASES: list[tuple[Callable[[pd.Series, dict[str, Any]], list[pd.Series]], dict[str, Any]]] = [
    (vidya, {}),
    (vidya, {"period": 30, "index_period": 5}),
    (vidya, {"period": 3, "index_period": 20, "source": "high"}),
    (vidya, {"convention": "deviation"}),
    (vidya, {"convention": "deviation", "period": 9, "index_period": 2, "long_period": 5}),
    (mcginley, {}),
    (mcginley, {"period": 5, "factor": 0.6}),
    (jma, {}),
    (jma, {"period": 2, "phase": -100}),
    (jma, {"period": 30, "phase": 50}),
    (hwma, {}),
    (hwma, {"level_weight": 0.6, "trend_weight": 0.3, "acceleration_weight": 0.2}),
    (ssf, {}),
    (ssf, {"poles": 3}),
    (ssf, {"period": 2}),
    (ssf, {"period": 40, "poles": 3}),
    (rainbow, {}),
    (rainbow, {"period": 5}),
    (mmar, {}),
    (mmar, {"period": 1, "step": 3}),
    (alligator, {}),
    (alligator, {"jaw_period": 2, "teeth_period": 20, "lips_shift": 0, "jaw_shift": 1}),
    (gator, {}),
    (gator, {"lips_period": 1, "jaw_shift": 30}),
]


@pytest.mark.parametrize(("formula", "given"), CASES)
def test_as_the_formula(formula: Callable[..., list[pd.Series]], given: dict[str, Any]) -> None:
    check_formula(formula.__name__, given, BARS, lambda symbol, p: formula(symbol[p["source"]], dict(p)))


def test_jma_forgets_a_stretch_that_is_complete_as_any_other() -> None:
    """Its window of 66 rows is put together from stretches; each length of data ends at another place of one."""
    x = walk(200, 2, 5)["close"]
    params = CATALOGUE["jma"].defaults
    whole = kernels.run("jma", [x], params)[0]
    for rows in (1, 65, 66, 67, 131, 132, 133, 199):
        assert np.array_equal(kernels.run("jma", [x[:rows].copy()], params)[0], whole[:rows], equal_nan=True)


def test_averages_that_would_run_away_stay_at_the_value() -> None:
    crash = np.array([[100.0, 100.0, 10.0, 10.0, 0.0, 5.0, 5.0]]).T
    found = kernels.run("mcginley", [crash], CATALOGUE["mcginley"].defaults)[0][:, 0]
    assert found.tolist() == [100.0, 100.0, 10.0, 10.0, 0.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("name", "params", "wrong"),
    [
        ("hwma", {"level_weight": 0.1, "trend_weight": 0.2, "acceleration_weight": 0.8}, "acceleration_weight"),
        ("vidya", {"convention": "deviation", "index_period": 30}, "index_period"),
        ("mavp", {"min_period": 9, "max_period": 8}, "min_period"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, params: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidParameters) as error:
        CATALOGUE[name].read_params(params)
    assert [e.loc for e in error.value.errors] == [(wrong,)]
