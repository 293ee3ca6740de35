"""Signatures, against the published vector of Standard Webhooks."""

from base64 import b64decode

from worker.webhooks.signing import sign

_KEY = b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
_ID, _TIMESTAMP, _BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_message_has_the_published_signature() -> None:
    assert sign(_ID, _TIMESTAMP, _BODY, [_KEY]) == _SIGNATURE


def test_each_key_signs() -> None:
    first, second = sign(_ID, _TIMESTAMP, _BODY, [b"\0" * 32, _KEY]).split(" ")
    assert first == sign(_ID, _TIMESTAMP, _BODY, [b"\0" * 32])
    assert second == _SIGNATURE


def test_id_time_and_body_are_signed() -> None:
    assert len({
        sign(_ID, _TIMESTAMP, _BODY, [_KEY]),
        sign("msg_other", _TIMESTAMP, _BODY, [_KEY]),
        sign(_ID, _TIMESTAMP + 1, _BODY, [_KEY]),
        sign(_ID, _TIMESTAMP, _BODY + b" ", [_KEY]),
    }) == 4  # fmt: skip
