"""Runs a command as `nobody`: `python unprivileged.py COMMAND…`, started by root, ends as that command.

PostgreSQL refuses to run as root. Where its files are is not its business: the state folder or the
virtual environment may lie below a folder only root can enter, such as /root. So the process keeps the
one capability that opens paths for reading, CAP_DAC_READ_SEARCH (in a container without it, CAP_DAC_OVERRIDE),
and loses everything else.

Standard library alone: it is run by path, without site packages, to start fast.
"""

import ctypes
import os
import pwd
import sys

_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_SET_SECUREBITS = 28
_NO_SETUID_FIXUP = 1 << 2
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    """Bits 0 to 31; a second one holds bits 32 to 63."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def nobody() -> tuple[int, int]:
    """User and group id to run as."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def become_nobody() -> None:
    """Raises OSError when the kernel does not allow it."""
    uid, gid = nobody()
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    header = _Header(_CAPABILITY_VERSION_3, 0)
    granted = (_Capabilities * 2)()
    if libc is not None:
        _checked(libc.capget(ctypes.byref(header), granted))
        _checked(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
        # Without this bit access(2) leaves capabilities out of account, and initdb asks it where its programs are.
        # A container may not allow it; paths that anybody can enter work all the same.
        libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)  # all three ids, as the caller is root
    os.setuid(uid)
    if libc is not None:
        permitted = granted[0].permitted
        capability = _CAP_DAC_READ_SEARCH if permitted & (1 << _CAP_DAC_READ_SEARCH) else _CAP_DAC_OVERRIDE
        keep = permitted & (1 << capability)
        kept = (_Capabilities * 2)()
        kept[0] = _Capabilities(keep, keep, keep)
        _checked(libc.capset(ctypes.byref(header), kept))
        if keep:  # ambient capabilities are the ones that survive exec
            _checked(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main(command: list[str]) -> None:
    try:
        become_nobody()
        os.execv(command[0], command)  # noqa: S606 - the caller names the whole command
    except OSError as error:
        sys.exit(f"cannot run {command[0]} as the user nobody: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
