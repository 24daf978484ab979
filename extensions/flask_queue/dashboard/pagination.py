"""Pages of a list. A number that makes no sense leads to the nearest page there is, never to an error or an empty page."""

from __future__ import annotations

from dataclasses import dataclass

#: Rows on a page, unless the address says otherwise.
SIZE = 25
LARGEST_SIZE = 100


@dataclass(frozen=True)
class Page:
    """One page.

    :param number: from 1
    :param size: rows on a full page
    :param total: rows that can be paged through
    """

    number: int
    size: int
    total: int

    @classmethod
    def clamp(cls, number: str | None, size: str | None, total: int) -> Page:
        """The page that was asked for, or the nearest one.

        :param number: as the address has it
        :param size: as the address has it
        """
        rows = min(max(_integer(size, SIZE), 1), LARGEST_SIZE)
        last = max(1, -(-total // rows))
        return cls(min(max(_integer(number, 1), 1), last), rows, total)

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number < self.last else None

    @property
    def first_row(self) -> int:
        return min(self.offset + 1, self.total)

    @property
    def last_row(self) -> int:
        return min(self.offset + self.size, self.total)


def _integer(text: str | None, default: int) -> int:
    try:
        # Longer ones are no page; int() refuses very long ones anyway.
        return int(text[:12]) if text else default
    except ValueError:
        return default
