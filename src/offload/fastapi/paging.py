"""Which entries one answer holds, and how many."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query

from offload.core.errors import ConfigurationError

Instant = Annotated[int | None, Query(ge=0, le=2**53, description="In Unix milliseconds.")]


@dataclass(frozen=True, slots=True)
class PageSize:
    """Entries of a page unless the client asks for more, and the most it may ask for."""

    default: int
    most: int

    def __post_init__(self) -> None:
        """Refuse sizes that no page can have.

        Raises:
            ConfigurationError: the default is not between 1 and the most.
        """
        if not 1 <= self.default <= self.most:
            raise ConfigurationError(
                f"default_page_size={self.default}, max_page_size={self.most}: "
                "the default must be between 1 and the maximum"
            )

    @property
    def query(self) -> Any:
        """What FastAPI checks a client's `limit` with."""
        return Query(ge=1, le=self.most)
