"""Answers as they lie in the cache, and the letters they travel in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.answer import Answer, pack, read_letter, unpack, write_letter

PACKED = pack(b"plain", b"gz", b"zst")
LETTER = write_letter({"a": PACKED, "b:é\n": pack(b"")}, {"c": {"kind": "invalid", "detail": "line 1\nline 2"}})

some_bytes = st.binary(max_size=200)
coded = st.none() | st.binary(min_size=1, max_size=50)


@given(some_bytes, coded, coded)
def test_answers_come_back(identity: bytes, gzip: bytes | None, zstd: bytes | None) -> None:
    answer = unpack(pack(identity, gzip, zstd))
    assert answer == Answer(answer.tag, identity, gzip, zstd)
    assert answer.size == len(identity) + len(gzip or b"") + len(zstd or b"")


def test_the_tag_is_of_the_plain_bytes_alone() -> None:
    tag = unpack(pack(b"abc")).tag
    assert len(tag) == 32
    assert int(tag, 16)
    assert unpack(pack(b"abc", b"x", b"y")).tag == tag
    assert unpack(pack(b"abd")).tag != tag


@pytest.mark.parametrize("foreign", [b"", b"KLP2", b"0123456789abcdef0123456789abcdef{}", b"{" + PACKED[1:]])
def test_what_is_no_answer_is_refused(foreign: bytes) -> None:
    with pytest.raises(ValueError, match="packed answer"):
        unpack(foreign)


def test_a_torn_answer_is_refused() -> None:
    for torn in [*(PACKED[:end] for end in range(len(PACKED))), PACKED + b"x"]:
        with pytest.raises(ValueError, match="packed answer"):
            unpack(torn)


@given(
    st.dictionaries(st.text(max_size=20), st.builds(pack, some_bytes, coded, coded), max_size=5),
    st.dictionaries(st.text(max_size=20), st.dictionaries(st.sampled_from(["kind", "detail"]), st.text()), max_size=3),
)
def test_letters_come_back(done: dict[str, bytes], failed: dict[str, dict[str, str]]) -> None:
    read, reasons = read_letter(write_letter(done, failed))
    assert list(read.items()) == list(done.items())
    assert reasons == failed


@pytest.mark.parametrize(
    "foreign",
    [b"", b"{}", b"\n", b"[]\n", b"{}\n", b'{"done":[],"failed":null}\n', b'{"done":[["a"]],"failed":{}}\n', b"1\n"],
)
def test_what_is_no_letter_is_refused(foreign: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several texts
        read_letter(foreign)


def test_a_torn_letter_is_refused() -> None:
    for torn in [*(LETTER[:end] for end in range(len(LETTER))), LETTER + b"x"]:
        with pytest.raises(ValueError):  # noqa: PT011 - several texts
            read_letter(torn)
