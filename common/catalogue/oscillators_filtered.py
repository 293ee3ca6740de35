"""Oscillators made of filters, regressions and states."""

from common.catalogue.params import fast_below_slow, multiplier, period, source
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import ema_memory, forever, rows_to_forget, wilder_memory
from common.catalogue.units import FLAG, POINTS, RATIO


def _stc_lookback(p: Params) -> int:
    return int(p["slow_period"]) - 1 + 2 * (int(p["cycle_period"]) - 1)


def _stc_memory(p: Params) -> int:
    """Measured on real bars: the stochastics magnify the averages' seeds, so these need half as much time again."""
    averages, stochastic = ema_memory(int(p["slow_period"])), int(p["cycle_period"])
    return 3 * averages // 2 + 2 * (stochastic + rows_to_forget(float(p["smoothing"])))


STC = IndicatorSpec(
    name="stc",
    title="Schaff Trend Cycle",
    family="oscillators",
    description=(
        "Stochastic of a MACD, smoothed, and of that once more, which makes a fast line between 0 and 100. "
        "A window without a range keeps the last value; each average starts with its own first window."
    ),
    inputs=("source",),
    params=(
        period(23, name="fast_period", what="Length of the fast average"),
        period(50, name="slow_period", what="Length of the slow average"),
        period(10, name="cycle_period", what="Window of both stochastics"),
        Param("smoothing", "float", 0.5, "Share of its distance that each smoothing moves by.", min=0.01, max=1.0),
        source(),
    ),
    outputs=(Output("stc", "From 0 (bottom of the cycle) to 100 (top).", POINTS, low=0.0, high=100.0, shift=0),),
    lookback=_stc_lookback,
    memory=_stc_memory,
    references=("Doug Schaff, The Schaff Trend Cycle (1999)",),
    check=fast_below_slow,
    aliases=("schaff", "schaff_trend_cycle"),
)

FISHER = IndicatorSpec(
    name="fisher",
    title="Fisher Transform",
    family="oscillators",
    description=(
        "Place of the price in its range, smoothed and cut at 0.999, through the Fisher transform, which makes turns "
        "sharp; then smoothed again. A window without a range counts as its middle."
    ),
    inputs=("source",),
    params=(period(10, what="Window of the range"), source("hl2")),
    outputs=(
        Output("fisher", "Transformed place of the price.", POINTS, shift=0),
        Output("signal", "`fisher` of the bar before, at first 0.", POINTS, shift=0),
    ),
    lookback=lambda p: int(p["period"]) - 1,
    memory=lambda _p: 2 * rows_to_forget(0.33),
    references=("John F. Ehlers, Using the Fisher Transform (2002)",),
    aliases=("fisher_transform",),
)

RSX = IndicatorSpec(
    name="rsx",
    title="Jurik RSX",
    family="oscillators",
    description=(
        "RSI without noise: changes and their sizes pass three smoothing filters each before their ratio is taken. "
        "50 when nothing moves. Jurik's own formula is not published; this is the one charting programs use."
    ),
    inputs=("source",),
    params=(period(14), source()),
    outputs=(Output("rsx", "From 0 (only losses) to 100 (only gains).", POINTS, low=0.0, high=100.0, shift=0),),
    lookback=lambda p: max(int(p["period"]) - 1, 5),
    memory=lambda p: 3 * rows_to_forget(3 / (int(p["period"]) + 2)),
    references=("https://www.prorealcode.com/prorealtime-indicators/jurik-rsx/",),
    aliases=("jurik_rsx",),
)

LRSI = IndicatorSpec(
    name="lrsi",
    title="Laguerre RSI",
    family="oscillators",
    description=(
        "Share of the steps up among all steps between the four stages of a Laguerre filter, from 0 to 1 as its author "
        "has it. 0 when nothing moves; the filter starts at the first value."
    ),
    inputs=("source",),
    params=(Param("gamma", "float", 0.5, "Damping of the filter.", min=0.0, max=0.95), source()),
    outputs=(Output("lrsi", "From 0 (only down) to 1 (only up).", POINTS, low=0.0, high=1.0, shift=0),),
    lookback=lambda _p: 3,
    memory=lambda p: 2 * rows_to_forget(1 - float(p["gamma"])),
    references=("John F. Ehlers, Time Warp - Without Space Travel (2002)",),
    aliases=("laguerre_rsi",),
)

INERTIA = IndicatorSpec(
    name="inertia",
    title="Inertia",
    family="oscillators",
    description=(
        "End of the regression line through the refined Relative Volatility Index, the mean of that of the highs and "
        "that of the lows. Above 50 the trend is up."
    ),
    inputs=("high", "low"),
    params=(
        period(20, what="Window of the regression"),
        period(14, name="rvi_period", minimum=1, what="Length of the averages of the Relative Volatility Index"),
        period(10, name="deviation_period", what="Window of its standard deviation"),
    ),
    outputs=(Output("inertia", "Smoothed volatility index, around 50.", POINTS, shift=0),),
    lookback=lambda p: int(p["deviation_period"]) + int(p["rvi_period"]) + int(p["period"]) - 3,
    memory=lambda p: wilder_memory(int(p["rvi_period"])),
    references=("Donald Dorsey, Refining the Relative Volatility Index (1995)",),
)

CTI = IndicatorSpec(
    name="cti",
    title="Correlation Trend Indicator",
    family="oscillators",
    description="Correlation of the last `period` values with a rising straight line; 0 when they are all the same.",
    inputs=("source",),
    params=(period(20), source()),
    outputs=(Output("cti", "From -1 (straight down) to 1 (straight up).", RATIO, low=-1.0, high=1.0, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=("John F. Ehlers, Correlation As A Trend Indicator (2020)",),
    aliases=("correlation_trend_indicator",),
)

PO = IndicatorSpec(
    name="po",
    title="Projection Oscillator",
    family="oscillators",
    description=(
        "Where the close stands between the highest high and the lowest low of the window after each has been moved on "
        "to today along the regression slope of the highs or the lows. 0 where there is no range."
    ),
    inputs=("high", "low", "close"),
    params=(period(14),),
    outputs=(Output("po", "From 0 (at the lower band) to 100 (at the upper band).", POINTS, 0.0, 100.0, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=("Mel Widner, Signaling Change with Projection Bands (1995)",),
    aliases=("projection_oscillator",),
)


def _qqe_lookback(p: Params) -> int:
    """The RSI, its average, a change, and two averages of 2 * period - 1 rows."""
    return int(p["period"]) + int(p["smooth_period"]) + 2 * (2 * int(p["period"]) - 2)


QQE = IndicatorSpec(
    name="qqe",
    title="Quantitative Qualitative Estimation",
    family="oscillators",
    description=(
        "Smoothed RSI and a level that trails it at a multiple of its average movement, never moving away from it, "
        "until the line crosses it and it changes sides. It starts below the line."
    ),
    inputs=("source",),
    params=(
        period(14, what="Length of the RSI and, doubled less one, of the two averages of its movement"),
        period(5, name="smooth_period", minimum=1, what="Length of the RSI's exponential average"),
        multiplier(4.236, what="Distance of the level in average movements"),
        source(),
    ),
    outputs=(
        Output("qqe", "Smoothed RSI.", POINTS, low=0.0, high=100.0, shift=0),
        Output("level", "Trailing level.", POINTS, shift=0),
        Output("trend", "1 while the level is below the line, -1 while it is above.", FLAG, -1.0, 1.0, shift=0),
    ),
    lookback=_qqe_lookback,
    memory=forever,
    references=("Roman Ignatov, QQE for MetaTrader (2006)", "https://www.tradingview.com/script/IYfA9R2k-QQE-MT4/"),
)

EBSW = IndicatorSpec(
    name="ebsw",
    title="Even Better Sinewave",
    family="oscillators",
    description=(
        "Price without cycles longer than `period` and without noise, the last three values' mean by their root mean "
        "square: near 1 in an uptrend, near -1 in a downtrend, a wave in between. 0 when nothing moves."
    ),
    inputs=("source",),
    params=(
        period(40, minimum=5, what="Longest cycle that is let through"),
        period(10, name="smooth_period", what="Shortest cycle that is let through"),
        source(),
    ),
    outputs=(Output("ebsw", "From -1 to 1.", POINTS, low=-1.0, high=1.0, shift=0),),
    lookback=lambda _p: 3,
    memory=lambda p: 2 * (4 * int(p["period"]) + 4 * int(p["smooth_period"])),
    references=("John F. Ehlers, Cycle Analytics for Traders (2013), Even Better Sinewave",),
    aliases=("even_better_sinewave",),
)

SPECS = (STC, FISHER, RSX, LRSI, INERTIA, CTI, PO, QQE, EBSW)
