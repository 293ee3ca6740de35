"""`python -m api`: one API process on an address of its own, or on a listening socket it inherits."""

import argparse
import gc
import socket

import uvicorn

from api.main import create_app
from common import logs
from common.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve the API.")
    parser.add_argument("--fd", type=int, help="file descriptor of a listening socket to serve on")
    descriptor = parser.parse_args().fd
    settings = Settings()
    logs.configure(settings.log_level)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # api.middleware writes the request log
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    # What imports have made lives for ever. Left out of garbage collections, which otherwise stop every request for
    # tens of milliseconds now and then.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)  # requests leave next to no cycles
    sockets = None if descriptor is None else [socket.socket(fileno=descriptor)]
    uvicorn.Server(config).run(sockets)


if __name__ == "__main__":
    main()
