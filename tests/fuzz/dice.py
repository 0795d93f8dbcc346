"""Choices made from bytes: a fuzzer's, or random ones. The same bytes make the same choices."""

from collections.abc import Sequence
from typing import TypeVar

Thing = TypeVar("Thing")


class Dice:
    """Reads its bytes from the front; when they are used up, every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether there are bytes left."""
        return self._at < len(self._data)

    def take(self, length: int) -> bytes:
        """The next bytes, with zeros where they end."""
        taken = self._data[self._at : self._at + length]
        self._at += length
        return taken.ljust(length, b"\0")

    def number(self, most: int) -> int:
        """From 0 to ``most``."""
        length = (most.bit_length() + 7) // 8
        return int.from_bytes(self.take(length), "big") % (most + 1)

    def one_of(self, things: Sequence[Thing]) -> Thing:
        """One of these."""
        return things[self.number(len(things) - 1)]

    def some_bytes(self, most: int) -> bytes:
        """At most so many bytes."""
        return self.take(self.number(most))

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(max(0, len(self._data) - self._at))
