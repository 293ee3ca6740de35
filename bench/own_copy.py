"""The baseline of `memory`: worker children that each load the bars with pandas. `python -m bench.own_copy FILE N`.

The parent imports what a worker imports and forks, as Celery does; a line with the children's ids says all is read.
"""

import json
import os
import signal
import sys

import pandas as pd

import worker.app  # noqa: F401 - what a worker has in memory besides the data


def main() -> None:
    file, count = sys.argv[1], int(sys.argv[2])
    read, write = os.pipe()
    children = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            _be_child(file, write)
        children.append(pid)
    try:
        while count:
            count -= len(os.read(read, count))
        print(json.dumps(children), flush=True)
        signal.pause()
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def _be_child(file: str, write: int) -> None:
    frame = pd.read_parquet(file)
    by_symbol = dict(tuple(frame.groupby("symbol", sort=True)))
    os.write(write, b"." if by_symbol else b"")
    signal.pause()
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main()
