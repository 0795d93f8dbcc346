"""The camera: a program that writes YUV4MPEG2 to its standard output, and the QR codes in its pictures.

Only the newest picture is looked at: a slow processor sees fewer, and none late. Of each picture only the grey plane is
kept. Source: YUV4MPEG2 as mjpegtools describes it (yuv4mpeg(5)); ffmpeg, gstreamer and libcamera's tools can write it.
"""

import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Condition, Event, Thread
from typing import IO, ClassVar

from hansa.gate.agent.sources import AGAIN_MAX_S, AGAIN_MIN_S
from hansa.kernel import HansaError

logger = logging.getLogger("hansa.gate")

SIDE_MAX = 4_096
"""Pixels of a picture's width or height."""

_HEADER_MAX = 512

Read = Callable[[memoryview], list[str]]
"""The texts of the QR codes in a grey picture, a memoryview of height x width bytes."""


class NoDecoder(HansaError):
    """Reading a camera needs zxing-cpp. Install it: pip install 'hansa-gate[camera]'."""

    code: ClassVar[str] = "gate.no_decoder"
    status: ClassVar[int] = 503


class BadPictures(HansaError):
    """What the camera's program writes is no YUV4MPEG2 in grey or 4:2:0 with 8 bits."""

    code: ClassVar[str] = "gate.bad_pictures"
    status: ClassVar[int] = 422


def qr_reader() -> Read:
    """Reads QR codes. Errors: NoDecoder where zxing-cpp is not installed."""
    try:
        import zxingcpp
    except ImportError as error:
        raise NoDecoder from error

    only_qr = zxingcpp.BarcodeFormats((zxingcpp.BarcodeFormat.QRCode,))

    def read(picture: memoryview) -> list[str]:
        found = zxingcpp.read_barcodes(picture, formats=only_qr, text_mode=zxingcpp.TextMode.Plain)
        return [one.text for one in found if one.valid]

    return read


class CameraSource:
    """Texts of the codes that a camera sees. Its program is started again whenever it ends.

    command: as for a shell, without one. Errors: NoDecoder.
    """

    def __init__(self, command: str, *, read: Read | None = None) -> None:
        self._command = shlex.split(command)
        self._read = read if read is not None else qr_reader()
        self.is_there = False
        self.pictures = 0
        """Pictures looked at since the start."""

    def texts(self, stopped: Event) -> Iterator[str]:
        """Texts until stopped."""
        pause_s = AGAIN_MIN_S
        while not stopped.is_set():
            seen = self.pictures
            try:
                with subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
                ) as camera:
                    try:
                        yield from self._texts_of(camera, stopped)
                    finally:
                        self.is_there = False
                        with suppress(ProcessLookupError):
                            os.killpg(camera.pid, signal.SIGKILL)
            except OSError as error:
                logger.warning("The camera's program cannot be run: %s", error)
            if self.pictures > seen:
                pause_s = AGAIN_MIN_S
            if not stopped.is_set():
                logger.warning("The camera's program ended; it is run again in %s s.", pause_s)
            stopped.wait(pause_s)
            pause_s = min(AGAIN_MAX_S, pause_s * 2)

    def _texts_of(self, camera: "subprocess.Popen[bytes]", stopped: Event) -> Iterator[str]:
        assert camera.stdout is not None
        newest = _Newest()
        thread = Thread(
            target=_keep_newest, args=(camera.stdout, newest), name="hansa-gate-camera", daemon=True
        )
        thread.start()
        while not stopped.is_set():
            picture = newest.take(0.2)
            if picture is not None:
                self.is_there = True
                self.pictures += 1
                yield from (text for text in self._read(picture) if text)
            elif newest.has_ended:
                return


class _Newest:
    """One picture, handed from a thread to another; a newer one takes its place."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._picture: memoryview | None = None
        self.has_ended = False

    def put(self, picture: memoryview) -> None:
        with self._condition:
            self._picture = picture
            self._condition.notify()

    def end(self) -> None:
        with self._condition:
            self.has_ended = True
            self._condition.notify()

    def take(self, wait_s: float) -> memoryview | None:
        with self._condition:
            if self._picture is None and not self.has_ended:
                self._condition.wait(wait_s)
            picture, self._picture = self._picture, None
            return picture


def _keep_newest(stream: IO[bytes], newest: _Newest) -> None:
    try:
        for picture in pictures(stream):
            newest.put(picture)
    except BadPictures as error:
        logger.warning("%s", error.detail)
    except (OSError, ValueError) as error:  # the pipe was closed under us
        logger.info("The camera's pictures ended: %s", error)
    finally:
        newest.end()


def pictures(stream: IO[bytes]) -> Iterator[memoryview]:
    """The grey planes of a YUV4MPEG2 stream, each height x width bytes; a last one cut short is dropped.

    Errors: BadPictures.
    """
    width, height, rest = _form_of(stream.readline(_HEADER_MAX))
    while True:
        line = stream.readline(_HEADER_MAX)
        if not line:
            return
        if not line.startswith(b"FRAME") or not line.endswith(b"\n"):
            raise BadPictures("A picture does not begin with FRAME.")
        grey = stream.read(width * height)
        if len(grey) < width * height or len(stream.read(rest)) < rest:
            return
        yield memoryview(grey).cast("B", (height, width))


def _form_of(header: bytes) -> tuple[int, int, int]:
    """Width, height and the bytes of colour after each grey plane. Errors: BadPictures."""
    words = header.decode("ascii", "replace").split()
    if not words or words[0] != "YUV4MPEG2" or not header.endswith(b"\n"):
        raise BadPictures
    fields = {word[0]: word[1:] for word in words[1:]}
    try:
        width, height = int(fields["W"]), int(fields["H"])
    except (KeyError, ValueError) as error:
        raise BadPictures("The pictures say no width and height.") from error
    if not 0 < width <= SIDE_MAX or not 0 < height <= SIDE_MAX:
        raise BadPictures(f"Pictures of {width} x {height} are too large, or none.")
    colour = fields.get("C", "420jpeg")
    if colour == "mono":
        return width, height, 0
    if colour in ("420", "420jpeg", "420paldv", "420mpeg2"):
        return width, height, 2 * ((width + 1) // 2) * ((height + 1) // 2)
    raise BadPictures(f"Pictures in {colour[:20]!r} cannot be read; write mono or 420 with 8 bits.")
