"""What `kalpi up` says when all is ready."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.dataset import Manifest

DEMO_PASSWORD = "demo-password"  # noqa: S105 - of an account the reader makes by pasting a line


@dataclass(frozen=True, slots=True)
class Summary:
    url: str
    flower_url: str | None
    flower_auth: str
    state_dir: Path
    logs_dir: Path
    manifest: Manifest
    demo_user: str
    seconds: float


def show(summary: Summary, console: Console) -> None:
    data = summary.manifest
    table = Table.grid(padding=(0, 2))
    table.add_row("API", _link(summary.url))
    table.add_row("Docs", _link(f"{summary.url}/docs"))
    if summary.flower_url is not None:
        user, _, password = summary.flower_auth.partition(":")
        table.add_row("Flower", _link(summary.flower_url))
        table.add_row("", Text(f"login {user}, password {password}"))
    kind = "synthetic sample" if data.synthetic else "your file"
    table.add_row("Data", Text(f"{len(data.symbols)} symbols, {data.rows:,} bars to {data.as_of} ({kind})"))
    table.add_row("State", Text(str(summary.state_dir)))
    table.add_row("Logs", Text(str(summary.logs_dir)))
    console.print()
    console.print(Text.assemble(("Kalpi is ready", "bold green"), f" after {summary.seconds:.1f} s"))
    console.print()
    # As wide as it needs: a path or an address that is broken over two lines cannot be copied.
    console.print(table, soft_wrap=True, width=max(console.width, 400), crop=False)
    console.print()
    console.print(Text("Try it: sign up, get a token, ask for a value.", "bold"))
    for line in curl_lines(summary.url, summary.demo_user, next(iter(data.symbols))):
        console.out(line, highlight=False)
    console.print()
    console.print(Text("Ctrl-C stops everything; nothing is lost.", "dim"))


def _link(url: str) -> Text:
    return Text(url, "cyan underline")


def curl_lines(url: str, user: str, symbol: str) -> list[str]:
    """Three lines that work when pasted one after the other."""
    register = (
        f"curl -sw '\\n' {url}/v1/auth/register -H 'Content-Type: application/json' "
        f"""-d '{{"username":"{user}","password":"{DEMO_PASSWORD}"}}'"""
    )
    token = (
        f"TOKEN=$(curl -s {url}/v1/auth/token -d username={user} -d password={DEMO_PASSWORD} "
        """| sed -E 's/.*"access_token": ?"([^"]+)".*/\\1/')"""
    )
    value = (
        "curl -sw '\\n' -H \"Authorization: Bearer $TOKEN\" "
        f"'{url}/v1/indicators/sma/values?symbol={quote(symbol, safe='')}&period=20'"
    )
    return [register, token, value]
