"""What may stand in an address."""

from typing import Any

from werkzeug.routing import IntegerConverter


class IdConverter(IntegerConverter):
    """A number that can be a row's id. Larger ones are no pages, and no database needs to hear of them."""

    def __init__(self, map: Any) -> None:
        super().__init__(map, min=1, max=2**31 - 1)
