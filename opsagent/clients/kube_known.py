"""What became of parts that many objects have alike, by their bytes or text, so that it is made once and shared.

What is shared is never changed by anybody. Large parts are the least alike and are not kept. When so many are
known the table begins anew: what is in use is soon known again. (Keeping the order of use, as ``lru_cache``
does, would touch more memory than all the rest of a look-up.)
"""

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K", bound=bytes | str)
T = TypeVar("T")


class Known(dict[K, T]):
    """``known[content]`` is what ``make`` makes of ``content``: kept up to a size, so many at a time."""

    def __init__(self, make: Callable[[K], T], entries_max: int, bytes_max: int) -> None:
        super().__init__()
        self._make = make
        self._entries_max = entries_max
        self._bytes_max = bytes_max

    def __missing__(self, content: K) -> T:
        made = self._make(content)
        if len(content) <= self._bytes_max:
            if len(self) >= self._entries_max:
                self.clear()
            self[content] = made
        return made
