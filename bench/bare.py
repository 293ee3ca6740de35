"""The baseline of `cached`: one FastAPI route that returns the bytes of a file. `python -m bench.bare FD FILE`."""

import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response


def make_app(body: bytes) -> FastAPI:
    app = FastAPI()

    @app.get("/values", response_class=Response)
    async def values() -> Response:
        return Response(body, media_type="application/json")

    return app


def main() -> None:
    descriptor, file = int(sys.argv[1]), Path(sys.argv[2])
    # As api.__main__ configures it.
    config = uvicorn.Config(
        make_app(file.read_bytes()),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
