"""Channels of extremes and of ranges, and Bollinger Bands squeezed into them."""

from common.catalogue.averages import ma_lookback, ma_memory
from common.catalogue.bands import average_memory, bands
from common.catalogue.params import ma_type, multiplier, period, source
from common.catalogue.references import CARTER, PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import ema_memory, forever, wilder_memory
from common.catalogue.units import FLAG, PRICE
from common.catalogue.volatility import range_convention, range_memory

_RANGES = "average true ranges"


def _atr_period(default: int) -> Param:
    return period(default, name="atr_period", minimum=1, what="Length of the average true range")


def _keltner_lookback(p: Params) -> int:
    return max(ma_lookback(str(p["ma_type"]), int(p["period"])), int(p["atr_period"]))


def _windowed_lookback(p: Params) -> int:
    return max(int(p["period"]) - 1, int(p["atr_period"]))


DONCHIAN = IndicatorSpec(
    name="donchian",
    title="Donchian Channels",
    family="channels",
    description="Highest high and lowest low of the window, the bar itself included, and their mean.",
    inputs=("high", "low"),
    params=(period(20),),
    outputs=bands("Highest high.", "Half way between the two.", "Lowest low."),
    lookback=lambda p: int(p["period"]) - 1,
    references=(
        "Richard Donchian, High Finance in Copper (1960)",
        "https://ta-lib.org/functions/donchian/",
    ),
    aliases=("donchian_channels", "dc"),
)

KC = IndicatorSpec(
    name="kc",
    title="Keltner Channels of the Typical Price",
    family="channels",
    description=(
        "Exponential average of the typical price and lines at `multiplier` of Wilder's average true ranges from it."
    ),
    inputs=("hlc3", "high", "low", "close"),
    params=(period(20), _atr_period(10), multiplier(2.0, what="Distance of the lines from the middle", unit=_RANGES)),
    outputs=bands(
        "Middle plus `multiplier` average true ranges.",
        "Exponential average of (high + low + close) / 3.",
        "Middle minus `multiplier` average true ranges.",
    ),
    lookback=_windowed_lookback,
    memory=lambda p: max(ema_memory(int(p["period"])), wilder_memory(int(p["atr_period"]))),
    references=(
        "Chester Keltner, How to Make Money in Commodities (1960)",
        "https://ta-lib.org/functions/kc/",
    ),
)

KELTNER = IndicatorSpec(
    name="keltner",
    title="Keltner Channels",
    family="channels",
    description=(
        "A moving average and lines at `multiplier` average true ranges from it, as Linda Raschke draws them: around "
        "an exponential average of the close."
    ),
    inputs=("source", "high", "low", "close"),
    params=(
        period(20),
        _atr_period(10),
        multiplier(2.0, what="Distance of the lines from the middle", unit=_RANGES),
        ma_type("ema"),
        range_convention(),
        source(),
    ),
    outputs=bands(
        "Middle plus `multiplier` average true ranges.",
        "Moving average.",
        "Middle minus `multiplier` average true ranges.",
    ),
    lookback=_keltner_lookback,
    memory=lambda p: max(average_memory(p), range_memory(str(p["convention"]), int(p["atr_period"]))),
    references=(
        "Chester Keltner, How to Make Money in Commodities (1960)",
        "Laurence Connors and Linda Raschke, Street Smarts (1995)",
    ),
    aliases=("keltner_channels",),
)

ABERRATION = IndicatorSpec(
    name="aberration",
    title="Aberration",
    family="channels",
    description="Simple average of the typical price and lines at one of Wilder's average true ranges from it.",
    inputs=("hlc3", "high", "low", "close"),
    params=(period(5), _atr_period(15)),
    outputs=(
        *bands("Middle plus `atr`.", "Mean of (high + low + close) / 3.", "Middle minus `atr`."),
        Output("atr", "Average true range.", PRICE, 0.0, shift=0),
    ),
    lookback=_windowed_lookback,
    memory=lambda p: wilder_memory(int(p["atr_period"])),
    references=("Keith Fitschen, Aberration (1986), whose bands are standard deviations", PANDAS_TA),
)

FCB = IndicatorSpec(
    name="fcb",
    title="Fractal Chaos Bands",
    family="channels",
    description=(
        "The last high above, and the last low below, all `side_bars` bars on each side of it. A fractal is known, and "
        "moves the band, `side_bars` bars after it; before the first one there is no value."
    ),
    inputs=("high", "low"),
    params=(period(2, name="side_bars", minimum=1, what="Neighbours on each side that a fractal stands out from"),),
    outputs=(
        Output("upper", "Last fractal high.", PRICE, shift=1, gaps=True),
        Output("lower", "Last fractal low.", PRICE, shift=1, gaps=True),
    ),
    lookback=lambda p: 2 * int(p["side_bars"]),
    memory=forever,
    references=("Bill Williams, Trading Chaos (1995)", "https://dotnet.stockindicators.dev/indicators/Fcb/"),
    aliases=("fractal_chaos_bands",),
)

_SQUEEZE_PARAMS = (
    period(20, name="bollinger_period", what="Window of the Bollinger Bands"),
    multiplier(2.0, name="bollinger_multiplier", what="Half width of the Bollinger Bands", unit="standard deviations"),
    period(20, name="keltner_period", what="Length of the Keltner channel's averages"),
)
_MOMENTUM_PARAMS = (
    period(12, name="momentum_period", minimum=1, what="Distance over which momentum is taken"),
    period(6, name="smooth_period", minimum=1, what="Length of its average"),
    ma_type(what="Kind of all the moving averages"),
)
_MOMENTUM = Output("momentum", "Moving average of the change of the close over `momentum_period` bars.", PRICE, shift=0)


def _flag(name: str, text: str) -> Output:
    return Output(name, text, FLAG, 0.0, 1.0, shift=0)


def _of_squeeze(p: Params, need: str) -> list[int]:
    """What its three averages need or remember."""
    count = {"lookback": ma_lookback, "memory": ma_memory}[need]
    kind = str(p["ma_type"])
    return [count(kind, int(p[f"{name}_period"])) for name in ("bollinger", "keltner", "smooth")]


def _squeeze_lookback(p: Params) -> int:
    bollinger, keltner, smooth = _of_squeeze(p, "lookback")
    return max(bollinger, int(p["bollinger_period"]) - 1, keltner + 1, int(p["momentum_period"]) + smooth)


SQUEEZE = IndicatorSpec(
    name="squeeze",
    title="Squeeze",
    family="volatility",
    description=(
        "Whether the Bollinger Bands lie within the Keltner channel, of simple averages by default: volatility is "
        "low then, and about to rise. With smoothed momentum for the direction."
    ),
    inputs=("high", "low", "close"),
    params=(
        *_SQUEEZE_PARAMS,
        multiplier(1.5, name="keltner_multiplier", what="Half width of the Keltner channel", unit=_RANGES),
        *_MOMENTUM_PARAMS,
    ),
    outputs=(
        _MOMENTUM,
        _flag("on", "1 while the bands lie within the channel."),
        _flag("off", "1 while the bands lie beyond the channel on both sides."),
        _flag("none", "1 while neither is so."),
    ),
    lookback=_squeeze_lookback,
    memory=lambda p: max(_of_squeeze(p, "memory")),
    references=(CARTER,),
)


def _ordered(p: Params) -> dict[str, str]:
    wide, normal, narrow = (float(p[f"{name}_multiplier"]) for name in ("wide", "normal", "narrow"))
    if normal >= wide:
        return {"normal_multiplier": f"{normal:g} is not below wide_multiplier {wide:g}"}
    return {} if narrow < normal else {"narrow_multiplier": f"{narrow:g} is not below normal_multiplier {normal:g}"}


SQUEEZE_PRO = IndicatorSpec(
    name="squeeze_pro",
    title="Squeeze Pro",
    family="volatility",
    description=(
        "The squeeze with three widths of the Keltner channel: the narrower the channel, the tighter the squeeze."
    ),
    inputs=("high", "low", "close"),
    params=(
        *_SQUEEZE_PARAMS,
        *(
            multiplier(default, name=f"{name}_multiplier", what=f"Half width of the {name} channel", unit=_RANGES)
            for name, default in (("wide", 2.0), ("normal", 1.5), ("narrow", 1.0))
        ),
        *_MOMENTUM_PARAMS,
    ),
    outputs=(
        _MOMENTUM,
        _flag("on_wide", "1 while the bands lie within the wide channel."),
        _flag("on_normal", "1 while the bands lie within the normal channel."),
        _flag("on_narrow", "1 while the bands lie within the narrow channel."),
        _flag("off", "1 while the bands lie beyond the wide channel on both sides."),
        _flag("none", "1 while the bands lie neither within nor beyond the wide channel."),
    ),
    lookback=_squeeze_lookback,
    memory=lambda p: max(_of_squeeze(p, "memory")),
    references=(
        CARTER,
        "https://usethinkscript.com/threads/john-carters-squeeze-pro-indicator-for-thinkorswim-free.4021/",
    ),
    check=_ordered,
)


def _ttm_lookback(p: Params) -> int:
    length = int(p["period"])
    return max(max(ma_lookback(str(p["ma_type"]), length), length - 1) + length - 1, length)


TTM_SQUEEZE = IndicatorSpec(
    name="ttm_squeeze",
    title="TTM Squeeze",
    family="volatility",
    description=(
        "Carter's squeeze: whether the Bollinger Bands lie within the Keltner channel, both of simple averages. Its "
        "momentum is the end of a regression line through the distances of the close from the mean of two: the middle "
        "of the window's range, and its moving average."
    ),
    inputs=("high", "low", "close"),
    params=(
        period(20),
        multiplier(
            2.0, name="bollinger_multiplier", what="Half width of the Bollinger Bands", unit="standard deviations"
        ),
        multiplier(1.5, name="keltner_multiplier", what="Half width of the Keltner channel", unit=_RANGES),
        ma_type(what="Kind of moving average in the momentum; thinkorswim takes ema"),
    ),
    outputs=(
        Output("momentum", "End of the regression line.", PRICE, shift=0),
        _flag("on", "1 while the bands lie within the channel."),
    ),
    lookback=_ttm_lookback,
    memory=average_memory,
    references=(CARTER, "https://www.tradingview.com/script/nqQ1DT5a-Squeeze-Momentum-Indicator-LazyBear/"),
    aliases=("squeeze_momentum",),
)

SPECS = (DONCHIAN, KC, KELTNER, ABERRATION, FCB, SQUEEZE, SQUEEZE_PRO, TTM_SQUEEZE)
