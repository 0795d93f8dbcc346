"""Where scanned texts come from: lines of standard input or of a scanner's device, and the pictures of a camera."""

import logging
import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Protocol

logger = logging.getLogger("hansa.gate")

LINE_MAX = 2_048
"""Characters of a text; a ride code has 373 at most. What comes after them in a line is dropped."""

LOOK_S = 0.2
AGAIN_MIN_S, AGAIN_MAX_S = 0.5, 10.0


class Source(Protocol):
    """Gives texts until it is stopped or has ended. Whatever it reads, it raises nothing."""

    is_there: bool
    """Whether there is something to read from just now."""

    def texts(self, stopped: Event) -> Iterator[str]:
        """Texts as they come, none empty; ends when stopped, or at the end of standard input."""
        ...


class LineBuffer:
    """Bytes to lines, however they come in. A line that is too long is cut, and never kept whole."""

    def __init__(self) -> None:
        self._line = bytearray()

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that these bytes end, without blanks around them; empty ones are passed over."""
        first, *rest = data.replace(b"\r", b"\n").split(b"\n")
        self._add(first)
        for piece in rest:
            yield from self.end()
            self._add(piece)

    def end(self) -> Iterator[str]:
        """The line that is begun, if there is one."""
        text = self._line.decode("utf-8", "replace").strip()
        self._line.clear()
        if text:
            yield text

    def _add(self, piece: bytes) -> None:
        self._line += piece[: LINE_MAX - len(self._line)]


class LineSource:
    """Lines of an open file such as standard input; its end is the end. fd: stays the caller's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.is_there = True

    def texts(self, stopped: Event) -> Iterator[str]:
        """Lines until the end or until stopped."""
        buffer = LineBuffer()
        for data in _pieces(self._fd, stopped):
            yield from buffer.feed(data)
        self.is_there = False
        if not stopped.is_set():
            yield from buffer.end()


class ScannerSource:
    """Lines of a device at this path (a serial line, a FIFO, a reader of codes), opened again whenever it goes.

    A terminal is set raw, so that it neither echoes nor waits for more than a line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_there = False

    def texts(self, stopped: Event) -> Iterator[str]:
        """Lines until stopped."""
        pause_s = AGAIN_MIN_S
        while not stopped.is_set():
            try:
                fd = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if pause_s == AGAIN_MIN_S:
                    logger.warning("The scanner %s is not there: %s", self._path, error.strerror)
                stopped.wait(pause_s)
                pause_s = min(AGAIN_MAX_S, pause_s * 2)
                continue
            buffer = LineBuffer()
            try:
                with suppress(termios.error):
                    if os.isatty(fd):
                        tty.setraw(fd)
                self.is_there = True
                for data in _pieces(fd, stopped):
                    pause_s = AGAIN_MIN_S
                    yield from buffer.feed(data)
            finally:
                self.is_there = False
                os.close(fd)
            yield from buffer.end()
            stopped.wait(pause_s)
            pause_s = min(AGAIN_MAX_S, pause_s * 2)


def _pieces(fd: int, stopped: Event) -> Iterator[bytes]:
    """What can be read, until the end, a fault, or until stopped. A regular file is read without waiting."""
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP | select.POLLERR)
    while not stopped.is_set():
        if not poll.poll(LOOK_S * 1000):
            continue
        try:
            data = os.read(fd, 4_096)
        except BlockingIOError:
            continue
        except OSError as error:
            logger.warning("Reading codes failed: %s", error.strerror)
            return
        if not data:
            return
        yield data
