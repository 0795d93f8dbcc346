"""The files of a GTFS feed, read line by line out of a zip, or a folder, that nobody here has checked.

Nothing is ever unpacked to the disk or held whole in memory; only members with a GTFS name are opened, and each is
read to a bound.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Self

from hansa.atlas.cityfile import city_folder
from hansa.atlas.report import Report
from hansa.atlas.tables import shown
from hansa.kernel import InvalidInput, Problem

MEMBER_MAX = 4_000_000_000
"""Bytes of one file of a feed, unpacked; the largest national timetables have some two thousand million."""

FEED_MAX = 8_000_000_000
"""Bytes of all files of a feed, unpacked."""

ARCHIVE_MAX = 2_000_000_000
"""Bytes of the zip itself."""

LINE_MAX = 1_000_000
MEMBERS_MAX = 1_000
RATIO_MAX = 200
"""How many times its packed size a member may unpack to, above the first megabyte; CSV packs some 5 to 20 times."""

_DAMAGED = (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, ValueError, OverflowError, OSError)


class Feed:
    """A feed that is open for reading. names: its files; what is wrong with the archive is already in the report.

    unpacked_max: bytes of all its files; of one that is sent in fewer than of one at hand.
    """

    def __init__(self, source: Path | bytes, report: Report, *, unpacked_max: int | None = None) -> None:
        self.names: dict[str, zipfile.ZipInfo | Path] = {}
        self._report = report
        self._stack = ExitStack()
        self._archive: zipfile.ZipFile | None = None
        self._left = self._most = unpacked_max or FEED_MAX
        if isinstance(source, bytes):
            self._open_zip(io.BytesIO(source), len(source), "the zip")
        elif source.is_dir():
            self._open_folder(source)
        elif source.is_file():
            size = source.stat().st_size
            self._open_zip(self._stack.enter_context(source.open("rb")), size, source.name)
        else:
            remedy = "Name a GTFS zip, or a folder with its files"
            self._wrong("missing_feed", str(source), "there is no such file or folder", remedy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lines(self, name: str) -> Iterator[tuple[int, str]]:
        """The lines of a file in UTF-8, numbered from 1, without a byte order mark; none where it cannot be read.

        What is wrong with the bytes is noted, and ends the reading.
        """
        member = self.names[name]
        number = 0
        try:
            with member.open("rb") if isinstance(member, Path) else self._member(member) as stream:
                for raw in iter(lambda: stream.readline(LINE_MAX), b""):
                    number += 1
                    if len(raw) >= LINE_MAX:
                        self._wrong(
                            "csv_parsing_failed", name, f"it has over {LINE_MAX} bytes", "Break it up", number
                        )
                        return
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                    if "\0" in text:
                        what, remedy = "it holds a NUL character", "Save the file as plain text in UTF-8"
                        self._wrong("invalid_character", name, what, remedy, number)
                        return
                    yield number, text
        except UnicodeDecodeError as error:
            what = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
            self._wrong("invalid_character", name, what, "Save the file as UTF-8", number)
        except _DAMAGED as error:
            self._wrong("csv_parsing_failed", name, f"it cannot be read ({error})", "Pack the feed again")

    def _member(self, entry: zipfile.ZipInfo) -> io.BufferedReader:
        assert self._archive is not None, "only a zip has members"
        return io.BufferedReader(self._archive.open(entry), 1 << 20)  # type: ignore[arg-type]

    def _open_folder(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            name = path.name
            if path.suffix not in (".txt", ".geojson"):
                continue
            if path.is_symlink():
                self._wrong(
                    "invalid_link",
                    name,
                    "it is a link to another place",
                    "Put the file itself into the folder",
                )
            elif path.is_file():
                size = path.stat().st_size
                if size > min(MEMBER_MAX, self._left):
                    remedy = f"Keep a feed within {self._most} bytes"
                    self._wrong("too_many_bytes", name, f"it has {size} bytes, too many", remedy)
                    continue
                self._left -= size
                self.names[name] = path

    def _open_zip(self, stream: io.BytesIO | io.BufferedReader, size: int, label: str) -> None:
        if size > ARCHIVE_MAX:
            remedy = f"Keep a zip within {ARCHIVE_MAX} bytes"
            self._wrong("too_many_bytes", label, f"it has {size} bytes, too many", remedy)
            return
        try:
            self._archive = self._stack.enter_context(zipfile.ZipFile(stream))
            self._members(self._archive, label)
        except _DAMAGED as error:
            self._wrong("unreadable_zip", label, f"it is not a whole zip ({error})", "Pack the feed again")

    def _members(self, archive: zipfile.ZipFile, label: str) -> None:
        entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
        if len(entries) > MEMBERS_MAX:
            remedy = "A GTFS feed has a few dozen at most"
            self._wrong("too_many_files", label, f"it holds {len(entries)} files", remedy)
            return
        for entry in entries:
            path = PurePosixPath(entry.filename)
            place = f"{label}, member {shown(entry.filename)}"
            name = path.name
            if not name:
                self._wrong("invalid_path", place, "it has no name", "Pack the files by their names")
            elif path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
                remedy = "Pack the files without any path"
                self._wrong("invalid_path", place, "its path leads out of the archive", remedy)
            elif path.parts[0] == "__MACOSX":
                continue
            elif len(path.parts) > 1:
                if path.suffix in (".txt", ".geojson"):
                    what, remedy = "it lies in a folder of the zip", "Pack the files at the root of the zip"
                    self._wrong("invalid_input_files_in_subfolder", place, what, remedy)
            elif name in self.names:
                self._wrong("duplicate_file", place, "the zip holds it twice", "Keep one of them")
            elif entry.flag_bits & 1:
                self._wrong("encrypted_file", place, "it is encrypted", "Pack the feed without a password")
            elif entry.file_size > self._bound(entry):
                what = f"it unpacks to {entry.file_size} bytes or more, too many"
                remedy = f"Keep a file within {MEMBER_MAX} bytes and a feed within {self._most}"
                self._wrong("too_many_bytes", place, what, remedy)
            else:
                self.names[name] = entry
                self._left -= entry.file_size

    def _bound(self, entry: zipfile.ZipInfo) -> int:
        return min(MEMBER_MAX, self._left, max(1_000_000, entry.compress_size * RATIO_MAX))

    def _wrong(self, code: str, file: str, what: str, remedy: str, line: int | None = None) -> None:
        self._report.add(code, "ERROR", file, what, remedy, row=line)


def gtfs_zip(city_id: str) -> bytes:
    """The GTFS feed of a city that comes with Hansa, as a zip; the same bytes every time.

    Errors: InvalidInput when no such city comes with Hansa, or its network does not come as GTFS.
    """
    folder = city_folder(city_id) / "gtfs"
    members = sorted(folder.glob("*.txt"))
    if not members:
        raise InvalidInput(
            "This city's network does not come as GTFS.",
            problems=(Problem("city_id", f"{city_id} has no gtfs folder", "Import its city folder instead"),),
        )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.writestr(zipfile.ZipInfo(member.name), member.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()
