"""Whom an address stands for."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network


@lru_cache(maxsize=4_096)
def client_of(address: str) -> str:
    """What a client is counted as: its address, or of IPv6 its /64, out of which it may take a new one each time."""
    if ":" not in address:
        return address
    parsed = IPv6Address(address.partition("%")[0])
    return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))
