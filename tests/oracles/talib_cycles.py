"""TA-Lib's cycles."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

_SOURCES = ({"source": "hl2"}, {"source": "open"}, {"source": "volume"})

CALLS: Mapping[str, Call] = {
    "ht_dcperiod": Call("HT_DCPERIOD", grid=_SOURCES),
    "ht_dcphase": Call("HT_DCPHASE", grid=_SOURCES, measure=1.0),
    # TA-Lib smooths the price with a running sum, whose rounding is relative to the price.
    "ht_phasor": Call("HT_PHASOR", grid=({"source": "high"}, {"source": "low"}), measure="close"),
    "ht_sine": Call("HT_SINE", grid=_SOURCES, measure=1.0),
    "ht_trendline": Call("HT_TRENDLINE", grid=_SOURCES),
    "ht_trendmode": Call("HT_TRENDMODE", grid=_SOURCES),
    "mama": Call(
        "MAMA",
        {"fastlimit": "fast_limit", "slowlimit": "slow_limit"},
        grid=(
            {"fast_limit": 0.99, "slow_limit": 0.01},
            {"fast_limit": 0.25, "slow_limit": 0.02},
            {"fast_limit": 0.3, "slow_limit": 0.3},
            {"source": "hl2"},
            {"source": "volume"},
        ),
    ),
}
