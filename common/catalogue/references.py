"""What many indicators go back to, cited the same everywhere."""

ACHELIS = "Steven B. Achelis, Technical Analysis from A to Z (2nd ed. 2000)"
CARTER = "John F. Carter, Mastering the Trade (2005)"
CHANDE_KROLL = "Tushar S. Chande and Stanley Kroll, The New Technical Trader (1994)"
WILDER = "J. Welles Wilder, New Concepts in Technical Trading Systems (1978)"

PANDAS_TA = "As pandas-ta-classic defines it: https://github.com/xgboosted/pandas-ta-classic"
"""Of what has no publication, or another formula there."""
