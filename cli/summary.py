"""What `kalpi up` says when all is ready."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from common.dataset import Manifest

DEMO_PASSWORD = "demo-password"  # noqa: S105 - of an account the reader makes by pasting a line

_LINK = "cyan underline"


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
    """Every line as wide as it needs: an address or a path that is broken over two lines cannot be copied."""

    def say(*parts: str | tuple[str, str]) -> None:
        console.print(Text.assemble(*parts), soft_wrap=True)

    data = summary.manifest
    kind = "synthetic sample" if data.synthetic else "your file"
    say()
    say(("Kalpi is ready", "bold green"), f" after {summary.seconds:.1f} s")
    say()
    say(_label("API"), (summary.url, _LINK))
    say(_label("Docs"), (f"{summary.url}/docs", _LINK))
    if summary.flower_url is not None:
        user, _, password = summary.flower_auth.partition(":")
        say(_label("Flower"), (summary.flower_url, _LINK), f"  login {user}, password {password}")
    say(_label("Data"), f"{len(data.symbols):,} symbols, {data.rows:,} bars to {data.as_of} ({kind})")
    say(_label("State"), str(summary.state_dir))
    say(_label("Logs"), str(summary.logs_dir))
    say()
    say(("Sign up, get a token, ask for a value:", "bold"))
    for line in curl_lines(summary.url, summary.demo_user, next(iter(data.symbols))):
        say(line)
    say()
    say(("Ctrl-C stops everything; nothing is lost.", "dim"))


def _label(text: str) -> tuple[str, str]:
    return f"  {text:8}", "dim"


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
