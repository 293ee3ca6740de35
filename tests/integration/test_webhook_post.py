"""One POST, to receivers that are none of the kind, and to places where none may be."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.webhooks import read_url
from tests.integration.webhook_kit import receiving, status
from worker.webhooks.addresses import Unreachable
from worker.webhooks.post import Answer, post

Send = Callable[[socket.socket], None]


def sent(url: str, *, seconds: float = 10, tls: ssl.SSLContext | None = None, private: bool = True) -> Answer:
    receiver = read_url(url, private=True)
    return post(
        receiver, {"X-Test": "1"}, b"{}", seconds=seconds, tls=tls or ssl.create_default_context(), private=private
    )


@dataclass(frozen=True)
class Speaker:
    url: str
    is_cut_off: threading.Event  # its sender hung up before it had said all


@contextmanager
def speaking(send: Send) -> Iterator[Speaker]:
    """A server that reads a request and then says what it likes."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                send(connection)
            except OSError:
                speaker.is_cut_off.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        speaker = Speaker(f"http://127.0.0.1:{listener.getsockname()[1]}/", threading.Event())
        thread = threading.Thread(target=serve)
        thread.start()
        yield speaker
        thread.join(30)
        assert not thread.is_alive()


def at_length(start: bytes, rest: bytes) -> Send:
    """64 MB, as fast as they are taken."""

    def send(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(2**26 // len(rest)):
            connection.sendall(rest)

    return send


def slowly(start: bytes, rest: bytes = b"a") -> Send:
    """For 10 seconds, a little at a time, none of it late."""

    def send(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(500):
            connection.sendall(rest)
            time.sleep(0.02)

    return send


def said(start: bytes) -> Send:
    return lambda connection: connection.sendall(start)


def test_a_request_says_what_it_should() -> None:
    with receiving(status(201)) as target:
        assert sent(target.url) == Answer(201, None)
    [request] = target.received
    assert (request.path, request.body) == ("/hook?a=b", b"{}")
    assert request.headers == {
        "host": f"127.0.0.1:{target.port}",
        "content-length": "2",
        "connection": "close",
        "x-test": "1",
    }


def test_a_redirect_is_an_answer_and_no_more() -> None:
    with receiving() as elsewhere, receiving(status(307, Location=elsewhere.url)) as target:
        assert sent(target.url).status == 307
    assert elsewhere.received == []


def test_a_wish_for_a_pause_is_heard() -> None:
    with receiving(status(503, Retry_After="120")) as target:
        assert sent(target.url) == Answer(503, "120")


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as target:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert sent(target.url).status == 204
    assert (len(target.received), len(proxy.received)) == (1, 0)


# --- receivers that go on and on


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", b"x" * 4096),
    ],
)
def test_a_body_without_end_is_not_read_to_its_end(start: bytes, rest: bytes) -> None:
    with speaking(at_length(start, rest)) as speaker:
        assert sent(speaker.url, seconds=30) == Answer(200, None)
    assert speaker.is_cut_off.is_set()


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (b"", b"x" * 4096),
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"x" * 4096),
    ],
)
def test_a_head_without_end_is_no_answer(start: bytes, rest: bytes) -> None:
    with speaking(at_length(start, rest)) as speaker, pytest.raises(Unreachable, match="its answer is not HTTP"):
        sent(speaker.url, seconds=30)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_an_answer_that_trickles_is_not_waited_for(start: bytes) -> None:
    with speaking(slowly(start)) as speaker, pytest.raises(Unreachable, match=r"did not answer within 0\.3 s"):
        sent(speaker.url, seconds=0.3)


def test_interim_answers_without_end_are_not_waited_for() -> None:
    interim = slowly(b"", b"HTTP/1.1 100 Continue\r\n\r\n")
    with speaking(interim) as speaker, pytest.raises(Unreachable, match=r"did not answer within 0\.3 s"):
        sent(speaker.url, seconds=0.3)


def test_a_body_that_trickles_changes_nothing_of_the_answer() -> None:
    with speaking(slowly(b"HTTP/1.1 202 Accepted\r\nContent-Length: 10000\r\n\r\n")) as speaker:
        assert sent(speaker.url, seconds=0.3) == Answer(202, None)
    assert speaker.is_cut_off.is_set()


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "its answer is not HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "its answer is not HTTP"),
    ],
)
def test_what_is_no_answer_is_told_apart(start: bytes, why: str) -> None:
    with speaking(said(start)) as speaker, pytest.raises(Unreachable, match=why):
        sent(speaker.url)


def test_where_nobody_listens_the_connection_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="refused the connection"):
        sent(f"http://127.0.0.1:{port}/")


# --- addresses


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_no_connection_is_made_to_a_private_address(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(Unreachable, match=r"^its host has an address that webhooks may not go to$"):
            sent(f"http://{host}:{listener.getsockname()[1]}/", private=False)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[bytes]:
    """A name server that gives these addresses, one list to each question; what it was asked."""
    asked: list[bytes] = []

    def look_up(host: bytes, port: int, **_: object) -> list[Any]:
        asked.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for address in answers[min(len(asked), len(answers)) - 1]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["8.8.8.8", "169.254.169.254"])
    with pytest.raises(Unreachable, match="may not go to"):
        sent("https://example.com/", private=False)


def test_a_name_is_looked_up_once_so_the_address_that_was_judged_is_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as target:
        asked = resolving(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
        assert sent(f"http://rebinding.example:{target.port}/").status == 204
    assert asked == [b"rebinding.example"]
    assert target.received[0].headers["host"] == f"rebinding.example:{target.port}"


def test_the_next_address_is_tried_where_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as target:
        resolving(monkeypatch, ["127.0.0.2", "127.0.0.3", "127.0.0.1"])
        assert sent(f"http://many.example:{target.port}/").status == 204


def test_an_address_that_is_silent_has_its_share_of_the_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        receiving() as target,
        socket.create_server(("127.0.0.2", target.port), backlog=0) as silent,
        ExitStack() as queue,
    ):
        for _ in range(3):  # nobody accepts them, and there is room for no more
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        resolving(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        assert sent(f"http://many.example:{target.port}/", seconds=1).status == 204


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(Unreachable, match="its host's name cannot be looked up"):
        sent("http://nowhere.invalid/")


def test_a_name_server_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_too_long = threading.Event()

    def look_up(*_: object, **__: object) -> list[Any]:
        asked_too_long.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(Unreachable, match="could not be looked up in time"):
        sent("http://silent.example/", seconds=0.1)
    asked_too_long.set()


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of localhost, signed by itself, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = f"-addext subjectAltName=DNS:localhost -keyout {folder}/key -out {folder}/crt"
    subprocess.run([openssl, "req", *options.split(), *files.split()], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key").read_text() + (folder / "crt").read_text())
    return both


@pytest.fixture
def encrypted(certificate: Path) -> Callable[[socket.socket], ssl.SSLSocket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return lambda plain: context.wrap_socket(plain, server_side=True)


def test_a_receiver_with_a_certificate_that_is_trusted(
    certificate: Path, encrypted: Callable[[socket.socket], ssl.SSLSocket]
) -> None:
    tls = ssl.create_default_context(cafile=str(certificate))
    with receiving(wrap=encrypted) as target:
        assert sent(f"https://localhost:{target.port}/", tls=tls).status == 204


def test_a_receiver_that_nobody_vouches_for(encrypted: Callable[[socket.socket], ssl.SSLSocket]) -> None:
    why = "its certificate is not valid: self-signed certificate"
    with receiving(wrap=encrypted) as target, pytest.raises(Unreachable, match=why):
        sent(f"https://localhost:{target.port}/")
    assert target.received == []


@pytest.mark.parametrize(
    ("host", "why"), [("127.0.0.1", "IP address mismatch"), ("other.example", "Hostname mismatch")]
)
def test_a_receiver_with_the_certificate_of_another(
    host: str,
    why: str,
    certificate: Path,
    encrypted: Callable[[socket.socket], ssl.SSLSocket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])
    tls = ssl.create_default_context(cafile=str(certificate))
    with receiving(wrap=encrypted) as target, pytest.raises(Unreachable, match=f"certificate is not valid: {why}"):
        sent(f"https://{host}:{target.port}/", tls=tls)
    assert target.received == []


def test_a_receiver_without_tls() -> None:
    with receiving() as target, pytest.raises(Unreachable, match="TLS failed with it"):
        sent(f"https://127.0.0.1:{target.port}/")


def test_a_handshake_that_never_comes_is_not_waited_for() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(Unreachable, match=r"did not answer within 0\.2 s"),
    ):
        sent(f"https://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.2)
