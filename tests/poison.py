"""`celery -A tests.poison worker` and `python -m tests.poison`: workers and a sweeper that know one indicator more.

It does to the process that computes it what no indicator should. Parents do not know it: they run every kernel once
before they fork.
"""

import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from celery import signals

from common.catalogue.registry import register
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.units import PRICE
from worker import kernels, sweeper
from worker.app import app
from worker.kernels.panels import Panel, Scratch

__all__ = ["POISON", "app", "compute"]


def _kill(_close: Panel) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exit(_close: Panel) -> None:
    os._exit(3)


def _ask_for_all_memory(close: Panel) -> None:
    np.empty((2**40, *close.shape))


def _loop(_close: Panel) -> None:
    while True:
        pass


def _turn_a_deaf_ear(_close: Panel) -> None:
    """In C, with every signal blocked and the interpreter held: nothing else of the process goes on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    ctypes.PyDLL(None).sleep(3600)


def _recur(close: Panel) -> None:
    _recur(close)


def _return_garbage(close: Panel) -> None:
    close[:] = np.empty((3, 5, 7))


def _stop_once(close: Panel) -> None:
    """As a machine that is suspended; whoever tries again comes through."""
    folder = Path(os.environ["KALPI_STATE_DIR"]) / "stopped"
    folder.mkdir(exist_ok=True)
    try:
        (folder / f"{close[0, 0]:.6f}").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGSTOP)


KINDS: Mapping[str, Callable[[Panel], None]] = MappingProxyType(
    {
        "none": lambda _close: None,
        "kill": _kill,
        "exit": _exit,
        "memory": _ask_for_all_memory,
        "loop": _loop,
        "deaf": _turn_a_deaf_ear,
        "recursion": _recur,
        "garbage": _return_garbage,
        "stop": _stop_once,
    }
)

POISON = IndicatorSpec(
    name="poison",
    title="Poison",
    family="tests",
    description="The close, unless it is that of the symbol it is meant for.",
    inputs=("close",),
    params=(
        Param("kind", "choice", "none", "What happens to the process.", choices=tuple(KINDS)),
        Param("victim", "float", 0.0, "First close of the symbol it is meant for; 0 for all.", min=0.0, max=1e9),
    ),
    outputs=(Output("poison", "The close.", PRICE),),
    references=("none",),
)


def compute(inputs: Sequence[Panel], params: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    [close] = inputs
    if params["victim"] in (0.0, *close[0]):
        KINDS[str(params["kind"])](close)
    outputs[0][:] = close


def _learn(**_: Any) -> None:  # noqa: ANN401 - Celery's signals pass what they like
    register((POISON,))
    kernels.KERNELS = MappingProxyType({**kernels.KERNELS, POISON.name: compute})


signals.worker_process_init.connect(_learn, weak=False)

if __name__ == "__main__":
    _learn()
    sweeper.main()
