"""Where events may be sent: an address that is not of the public internet is refused, however it is written."""

from ipaddress import ip_address, ip_network

import pytest

from hansa.kernel import InvalidInput
from hansa.webhooks import Reach

PUBLIC = "8.8.8.8 2606:4700::1111 2001:4860:4860::8888 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1"
"""Wrapped ones too: mapped, by NAT64, by 6to4."""

WITHIN = (
    "0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.31.255.255 192.168.0.1 "  # our own
    "192.0.0.9 192.0.0.170 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 "  # of protocols, tests and documents
    "224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 "  # of many, of nobody
    ":: ::1 fc00::1 fd12:3456::1 fe80::1 fec0::1 ff02::1 ff0e::1 "  # the same of IPv6
    "100::1 2001::1 2001:2::1 2001:db8::1 3fff::1 4000::1 5f00::1 64:ff9b:1::1 "
    "::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 ::ffff:0:127.0.0.1 "  # IPv4 inside
    "64:ff9b::7f00:1 64:ff9b::a00:1 2002:7f00:1::1 2002:c0a8:1::1 2002:e000:1::1"
)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses_are_called(address: str) -> None:
    assert Reach().may_call(ip_address(address))


@pytest.mark.parametrize("address", WITHIN.split())
def test_no_address_inside_or_of_nobody_is_called(address: str) -> None:
    assert not Reach().may_call(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(InvalidInput):
        Reach().read(f"https://{host}/hook")


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.1", "1.2.3.4.5", "[::1%25lo]", "a@b",
        "127。0。0。1", "①②⑦.0.0.1", "localhost:0", "", "[", "ex ample.org", "example.org\\@127.0.0.1", "x\0.org",
    ],
)  # fmt: skip
def test_no_other_way_to_write_an_address_is_read(host: str) -> None:
    with pytest.raises(InvalidInput):
        Reach().read(f"https://{host}/hook")


def test_without_tls_only_what_was_allowed_inside_is_called() -> None:
    closed = Reach((ip_network("10.1.0.0/16"),))
    plain, sealed = closed.read("http://hook.example/"), closed.read("https://hook.example/")
    found = [ip_address(one) for one in ("10.1.2.3", "10.2.0.1", "8.8.8.8", "::ffff:10.1.2.3")]

    assert closed.judge(plain, found) == found[:1]
    assert closed.judge(sealed, found) == [found[0], *found[2:]]
    with pytest.raises(InvalidInput):
        Reach().read("http://hook.example/")
