"""Where the `kalpi` command begins; also `python -m cli`."""

import signal


def main() -> None:
    # Loading takes a moment in which nothing has been started: Ctrl-C then just ends it, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cli.main import app  # noqa: PLC0415 - after the handler

    signal.signal(signal.SIGINT, signal.default_int_handler)
    app(prog_name="kalpi")


if __name__ == "__main__":
    main()
