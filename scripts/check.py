"""`make check`: every check, one line each; the output of a check shows only when it fails."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LONGEST_MODULE = 400  # lines
CHECKS = {
    "ruff": [BIN / "ruff", "check", "--quiet"],
    "format": [BIN / "ruff", "format", "--check", "--quiet"],
    "mypy": [BIN / "mypy"],
    "imports": [BIN / "lint-imports"],
    "locks": [sys.executable, "scripts/check_lock.py"],
    "settings": [sys.executable, "-m", "scripts.settings_table", "--check"],
    "indicators": [sys.executable, "-m", "scripts.indicator_docs", "--check"],
    "lengths": [sys.executable, __file__, "--lengths"],
}


def check_lengths() -> int:
    """No module over 400 lines."""
    files = (f for f in ROOT.rglob("*.py") if not any(part.startswith(".") for part in f.relative_to(ROOT).parts))
    lengths = {f: len(f.read_text().splitlines()) for f in files}
    too_long = {f: n for f, n in lengths.items() if n > LONGEST_MODULE}
    for file, lines in sorted(too_long.items()):
        print(f"{file.relative_to(ROOT)} has {lines} lines; at most {LONGEST_MODULE} are easy to read")
    return 1 if too_long else 0


def main() -> int:
    failed = []
    for name, command in CHECKS.items():
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        mark = "ok" if done.returncode == 0 else "FAILED"
        print(f"{name:12}{mark:7}{time.monotonic() - began:5.1f} s", flush=True)
        if done.returncode != 0:
            failed.append(name)
            print(f"{done.stdout}{done.stderr}".rstrip(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(check_lengths() if "--lengths" in sys.argv[1:] else main())
