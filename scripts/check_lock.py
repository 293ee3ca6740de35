"""Checks, offline, that the locks fit pyproject.toml and one another. One line for each thing that is wrong."""

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# Which extras each lock covers, on top of what every process needs.
LOCKS = {"dev": None, "api": ["api"], "worker": ["worker"], "flower": ["flower"], "remote-results": ["remote-results"]}
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")

Pins = dict[str, dict[str, str]]  # name -> marker -> version


def read_lock(path: Path, problems: list[str]) -> Pins:
    pins: Pins = {}
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        wanted, *hashes = line.split("--hash=")
        try:
            requirement = Requirement(wanted.strip())
        except InvalidRequirement:
            problems.append(f"{path.name}: not a pin with hashes alone: {line[:80]}")
            continue
        name = canonicalize_name(requirement.name)
        pinned = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        if requirement.url or not pinned:
            problems.append(f"{path.name}: {name} is not pinned to one version")
            continue
        if not hashes or len(_HASH.findall(line)) != len(hashes):
            problems.append(f"{path.name}: {name} has no sha256 hash, or one that is damaged")
        pins.setdefault(name, {})[str(requirement.marker or "")] = pinned[1]
    return pins


def check_covers(lock: str, pins: Pins, wanted: list[str], problems: list[str]) -> None:
    """Every dependency that pyproject names is in the lock, within its bounds."""
    for text in wanted:
        requirement = Requirement(text)
        versions = pins.get(canonicalize_name(requirement.name), {})
        if not versions:
            problems.append(f"{lock}.txt: {requirement.name} is missing; run `make lock`")
        problems.extend(
            f"{lock}.txt: {requirement.name} {version} is outside {requirement.specifier}; run `make lock`"
            for version in versions.values()
            if not requirement.specifier.contains(version, prereleases=True)
        )


def check_agrees(lock: str, pins: Pins, dev: Pins, problems: list[str]) -> None:
    """A part installs the very versions that were tested."""
    problems.extend(
        f"{lock}.txt: {name} {' '.join(versions.values())} is not what dev.txt has; run `make lock`"
        for name, versions in pins.items()
        if not set(versions.values()) <= set(dev.get(name, {}).values())
    )


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    problems: list[str] = []
    locks = {lock: read_lock(ROOT / "locks" / f"{lock}.txt", problems) for lock in LOCKS}
    for lock, pins in locks.items():
        names = LOCKS[lock] if LOCKS[lock] is not None else list(extras)
        check_covers(lock, pins, [*project["dependencies"], *(d for n in names for d in extras[n])], problems)
        check_agrees(lock, pins, locks["dev"], problems)
        if "://" in (ROOT / "locks" / f"{lock}.txt").read_text():
            problems.append(f"{lock}.txt: names an address")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
