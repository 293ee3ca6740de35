"""`python -m cli`, for where the `kalpi` script is not installed."""

from cli.main import app

app(prog_name="kalpi")
