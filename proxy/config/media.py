"""Which media types the bridge can look into, and which are bytes to it."""

FORM = "application/x-www-form-urlencoded"
NDJSON = "application/x-ndjson"


def is_json(media_type: str) -> bool:
    """For a lower-case type without parameters: application/json, or any +json."""
    return media_type == "application/json" or media_type.endswith("+json")
