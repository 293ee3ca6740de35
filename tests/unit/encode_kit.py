"""Numbers that are hard to write, for the tests of encoding."""

import math

AWKWARD = [0.1, 1 / 3, -0.0, 12.0, 1e22, 1e-7, 5e-324, 1.7976931348623157e308, 123456789.12345679, math.nan]
