"""Price transforms: one price out of a bar's four, and bars of averages."""

from common.catalogue.params import period, source
from common.catalogue.spec import IndicatorSpec, Output
from common.catalogue.stability import rows_to_forget
from common.catalogue.units import PRICE


def _price(
    name: str, title: str, inputs: tuple[str, ...], description: str, *, aliases: tuple[str, ...]
) -> IndicatorSpec:
    """One price per bar, from that bar alone."""
    return IndicatorSpec(
        name=name,
        title=title,
        family="price transform",
        description=description,
        inputs=inputs,
        outputs=(Output(name, f"{title}.", PRICE, shift=1),),
        references=(f"https://ta-lib.org/functions/{name}/",),
        aliases=aliases,
    )


AVGPRICE = _price(
    "avgprice",
    "Average Price",
    ("open", "high", "low", "close"),
    "The mean of open, high, low and close.",
    aliases=("ohlc4",),
)

MEDPRICE = _price("medprice", "Median Price", ("high", "low"), "The middle of high and low.", aliases=("hl2",))

TYPPRICE = _price(
    "typprice", "Typical Price", ("high", "low", "close"), "The mean of high, low and close.", aliases=("hlc3",)
)

WCLPRICE = _price(
    "wclprice",
    "Weighted Close Price",
    ("high", "low", "close"),
    "The mean of high, low and twice the close.",
    aliases=("wcprice", "wcp"),
)

MIDPOINT = IndicatorSpec(
    name="midpoint",
    title="Midpoint over Period",
    family="price transform",
    description="The middle of the greatest and the least value of the window.",
    inputs=("source",),
    params=(period(14), source()),
    outputs=(Output("midpoint", "Middle of the window's range.", PRICE, shift=1),),
    lookback=lambda p: int(p["period"]) - 1,
    references=("https://ta-lib.org/functions/midpoint/",),
)

MIDPRICE = IndicatorSpec(
    name="midprice",
    title="Midpoint Price over Period",
    family="price transform",
    description="The middle of the highest high and the lowest low of the window.",
    inputs=("high", "low"),
    params=(period(14),),
    outputs=(Output("midprice", "Middle of the window's range.", PRICE, shift=1),),
    lookback=lambda p: int(p["period"]) - 1,
    references=("https://ta-lib.org/functions/midprice/",),
)

HA = IndicatorSpec(
    name="ha",
    title="Heikin-Ashi Candles",
    family="price transform",
    description=(
        "Bars of averages that show a trend with less noise: each opens in the middle of the body before and closes "
        "at the mean of the day's four prices. The first opens in the middle of its own body."
    ),
    inputs=("open", "high", "low", "close"),
    outputs=(
        Output("open", "Middle of the body before.", PRICE, shift=1),
        Output("high", "Greatest of the day's high and of this bar's open and close.", PRICE, shift=1),
        Output("low", "Least of the day's low and of this bar's open and close.", PRICE, shift=1),
        Output("close", "Mean of the day's open, high, low and close.", PRICE, shift=1),
    ),
    memory=lambda _p: rows_to_forget(0.5),
    references=(
        "Dan Valcu, Using the Heikin-Ashi Technique, Technical Analysis of Stocks & Commodities (February 2004)",
        "https://ta-lib.org/functions/ha/",
    ),
    aliases=("heikin_ashi", "heikinashicandles"),
)

SPECS = (AVGPRICE, MEDPRICE, TYPPRICE, WCLPRICE, MIDPOINT, MIDPRICE, HA)
