"""The baseline of `cached`: one FastAPI route that returns files in turn. `python -m bench.bare FD FOLDER`."""

import gc
import socket
import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response


def make_app(bodies: Sequence[bytes]) -> FastAPI:
    app = FastAPI()
    coming = cycle(bodies)

    @app.get("/values", response_class=Response)
    async def values() -> Response:
        return Response(next(coming), media_type="application/json")

    return app


def main() -> None:
    descriptor, folder = int(sys.argv[1]), Path(sys.argv[2])
    app = make_app([file.read_bytes() for file in sorted(folder.iterdir())])
    # As api.__main__ configures and prepares it.
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    gc.collect()
    gc.freeze()
    uvicorn.Server(config).run([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
