"""The state folder: its lock, its secrets, and `up.json`, which says where a running stack listens."""

import fcntl
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from common.errors import StartupError
from common.settings import Settings

UP = "up.json"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Generated once per state folder, unless the operator's environment gives them."""

    secret_key: str
    flower_auth: str
    database_password: str
    redis_password: str

    @classmethod
    def generate(cls) -> Self:
        return cls(
            secret_key=secrets.token_urlsafe(48),
            flower_auth=f"kalpi:{secrets.token_urlsafe(12)}",
            database_password=secrets.token_urlsafe(24),
            redis_password=secrets.token_urlsafe(24),
        )


class StateDir:
    """One folder for everything `kalpi up` generates. Only one `up` may use it at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartupError(f"the state folder {self.path} cannot be used: {error.strerror}") from error

    def lock(self) -> None:
        """Held until this process ends, however it ends. Raises StartupError when another `up` holds it."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip()
            raise StartupError(
                f"the state folder {self.path} is in use by another `kalpi up` (process {holder or 'unknown'})"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def folder(self, name: str) -> Path:
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def secrets(self, settings: Settings) -> Secrets:
        path = self.path / "secrets.json"
        try:
            kept = Secrets(**json.loads(path.read_text()))
        except FileNotFoundError:
            kept = Secrets.generate()
            write_private(path, asdict(kept))
        except (TypeError, ValueError) as error:
            raise StartupError(f"{path} is damaged: {error}") from error
        given = {
            "secret_key": settings.secret_key,
            "flower_auth": settings.flower_basic_auth,
        }
        return Secrets(**{**asdict(kept), **{k: v.get_secret_value() for k, v in given.items() if v is not None}})

    def write_up(self, content: dict[str, Any]) -> None:
        write_private(self.path / UP, content)

    def remove_up(self) -> None:
        with suppress(FileNotFoundError):
            (self.path / UP).unlink()


def read_up(state_dir: Path) -> dict[str, Any] | None:
    """What the running `up` of this folder has written; None when none runs."""
    try:
        content: dict[str, Any] = json.loads((state_dir / UP).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return content


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Replaces the file as a whole; only its owner can read it."""
    new = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
