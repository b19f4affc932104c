"""What every section of the file is made of."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the file: no other keys than these, and never changed once read."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_alias=True, validate_by_name=True)
