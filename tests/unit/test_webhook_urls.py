"""Where webhooks may go, as far as a URL says it."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from common.addresses import is_public
from common.webhooks import MAX_URL, Receiver, read_url


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://example.com", Receiver(True, "example.com", 443, "/", "example.com")),
        ("https://Example.COM:8443/a/b?c=d#e", Receiver(True, "example.com", 8443, "/a/b?c=d", "example.com:8443")),
        (
            "HTTPS://xn--bcher-kva.example?q",
            Receiver(True, "xn--bcher-kva.example", 443, "/?q", "xn--bcher-kva.example"),
        ),
        ("https://8.8.8.8/", Receiver(True, IPv4Address("8.8.8.8"), 443, "/", "8.8.8.8")),
        (
            "https://[2606:4700::1111]:444",
            Receiver(True, IPv6Address("2606:4700::1111"), 444, "/", "[2606:4700::1111]:444"),
        ),
    ],
)
def test_a_url_names_a_receiver(url: str, receiver: Receiver) -> None:
    assert read_url(url, private=False) == receiver


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "does not begin with https://"),
        ("example.com/hook", "does not begin with https://"),
        ("http://example.com", "does not begin with https://"),
        ("ftp://example.com", "does not begin with https://"),
        ("https://", "has no host"),
        ("https:///hook", "has no host"),
        ("https://user:pass@example.com", "has credentials"),
        ("https://user@example.com", "has credentials"),
        (r"https://example.com\@internal/", "has credentials"),
        ("https://example.com:0/", "has port 0"),
        ("https://example.com:65536/", "is no URL"),
        ("https://example.com:port/", "is no URL"),
        ("https://[::1/", "is no URL"),
        ("https://example.com/a b", "has characters that no URL has"),
        ("https://example.com/\r\nX-Header: 1", "has characters that no URL has"),
        ("https://example.com/\x00", "has characters that no URL has"),
        ("https://bücher.example/", "write international hosts as xn--"),
        ("https://exa_mple..com/", "neither a name nor an address"),
        ("https://-example.com/", "neither a name nor an address"),
        ("https://example.com./", "neither a name nor an address"),
        (f"https://{'a.' * 130}com/", "neither a name nor an address"),
        ("https://localhost%2f/", "neither a name nor an address"),
        # IPv4 addresses as resolvers read them.
        ("https://127.1/", "neither a name nor an address"),
        ("https://2130706433/", "neither a name nor an address"),
        ("https://0x7f000001/", "neither a name nor an address"),
        ("https://0177.0.0.1/", "neither a name nor an address"),
        ("https://[fe80::1%25eth0]/", "neither a name nor an address"),
        ("https://127.0.0.1/", "no public address"),
        ("https://169.254.169.254/latest/meta-data", "no public address"),
        ("https://[::ffff:10.0.0.1]/", "no public address"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_with_what_would_be(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_url(url, private=False)


def test_a_url_has_a_longest_length() -> None:
    longest = "https://example.com/".ljust(MAX_URL, "a")
    read_url(longest, private=False)
    with pytest.raises(ValueError, match="has 2,001 characters; a webhook's URL has up to 2,000"):
        read_url(f"{longest}a", private=False)


def test_where_private_receivers_are_allowed_they_need_no_encryption() -> None:
    assert read_url("http://127.0.0.1/hook", private=True) == Receiver(
        False, IPv4Address("127.0.0.1"), 80, "/hook", "127.0.0.1"
    )
    assert read_url("https://[fd00::1]/", private=True).host == IPv6Address("fd00::1")
    with pytest.raises(ValueError, match="does not begin with https:// or http://"):
        read_url("file:///etc/passwd", private=True)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
        "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1",
        "2001:db8::1", "100::1", "5f00::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",  # mapped
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808",  # NAT64, and that of a local network
        "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::",  # 6to4
        "2001:0:808:808::f5ff:fffe", "2001:0:a00:1::",  # Teredo
    ],
)  # fmt: skip
def test_no_webhook_goes_to_what_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"],
)
def test_webhooks_go_to_what_is_public(address: str) -> None:
    assert is_public(ip_address(address))
