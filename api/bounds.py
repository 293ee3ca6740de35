"""How large a request may be."""

MAX_BODY = 2**20
"""Bytes of a job's body."""

MAX_SMALL_BODY = 2**14
"""Bytes of any other body: names, passwords and tokens."""

MAX_ADDRESS = 2**14
"""Bytes of a path and of a query string."""

MAX_HEADER = 2**13
MAX_HEADERS = 100
"""Bytes of a header's value, and headers of a request."""

MAX_ERRORS = 50
"""A request with more faults is answered with the first ones."""

MAX_SYMBOLS = 5_000
"""Of a job."""

MAX_SERIES = 200
"""Of a job, per symbol."""
