"""HTTP clients, as a test needs them."""

import httpx


def client(base_url: str, *, timeout_s: float = 30.0) -> httpx.AsyncClient:
    """An ordinary client. It loads no certificates, for nothing here is TLS and that takes longer than most tests."""
    return httpx.AsyncClient(base_url=base_url, timeout=timeout_s, verify=False)
