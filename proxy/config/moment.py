"""Moments as people write them in the file and in a query: ISO 8601."""

from datetime import UTC, datetime


def read_moment(text: str) -> int | None:
    """Milliseconds since the epoch, in UTC unless the text says otherwise; None: it is no moment since 1970."""
    try:
        at = datetime.fromisoformat(text)
        since_ms = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return since_ms if since_ms >= 0 else None
