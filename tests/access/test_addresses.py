"""Tests of parsing client addresses and of recognizing the addresses of this machine."""

from __future__ import annotations

import pytest

from keylike.access.addresses import is_local_host, is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[]", None),
        ("", None),
        ("unknown", None),
        ("203.0.113.9:", None),
    ],
)
def test_parse_address_accepts_ports_and_ipv4_mapped_addresses(
    text: str, expected: str | None
) -> None:
    found = parse_address(text)
    assert (None if found is None else str(found)) == expected


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "::ffff:127.0.0.1"])
def test_is_loopback_is_true_for_addresses_of_this_machine(address: str) -> None:
    assert is_loopback(address) and is_local_host(address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "10.0.0.1", "203.0.113.9", "2001:db8::1", "127.0.0.1.evil.example"]
)
def test_is_loopback_is_false_for_other_addresses(address: str) -> None:
    assert not is_loopback(address) and not is_local_host(address)


def test_is_local_host_accepts_only_localhost_as_a_name() -> None:
    assert is_local_host("localhost") and not is_loopback("localhost")
    for name in ("localhost.example", "evil.localhost", "LOCALHOST.evil", ""):
        assert not is_local_host(name)
