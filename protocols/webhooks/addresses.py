"""Which addresses an operator's webhook may be at: public ones, and those that the configuration allows.

Whoever may register a webhook could otherwise have the node knock at what only the node can reach: its own machine, the
network behind the firewall, the metadata service of a cloud.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: a gateway of the network takes it to the IPv4 address in its last 32 bits, and says so in DNS."""

SITE_LOCAL = ipaddress.IPv6Network("fec0::/10")
"""RFC 3879: deprecated, and still nobody's but the site's; Python calls it global."""


def address_of(text: str) -> Address:
    """The address in what a resolver gives ("fe80::1%eth0"); an IPv4 address within IPv6 (::ffff:0:0/96) as itself.

    Raises ValueError for what is none.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether a webhook may be there: it is public, or in one of the networks that are `allowed`."""
    return is_listed(address, allowed) or all(map(_is_public, _meant(address)))


def is_listed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether the configuration names a network of it."""
    return any(address in network for network in allowed if network.version == address.version)


def _is_public(address: Address) -> bool:
    """By the registries of IANA for special purposes; 192.0.0.0/24 and the like are special, multicast is no server."""
    special = address.is_multicast or address.is_reserved or address in SITE_LOCAL
    return address.is_global and not special


def _meant(address: Address) -> Iterator[Address]:
    """The address and those that are written within it: where a gateway or a tunnel would take it."""
    if address in NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        within = (address.sixtofour, *(address.teredo or ()))
        yield from (each for each in within if each is not None)
