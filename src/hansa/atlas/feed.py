"""The files of a GTFS feed, taken out of a zip, or a folder, that nobody here has checked.

Nothing is ever unpacked to the disk; only members with a GTFS name are opened, and each is read to a bound.
"""

import io
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from hansa.atlas.cityfile import city_folder
from hansa.atlas.tables import Problems, shown
from hansa.kernel import InvalidInput, Problem

MEMBER_MAX = 200_000_000
"""Bytes of one file of a feed, unpacked."""

FEED_MAX = 400_000_000
"""Bytes of all files read of a feed, unpacked."""

ARCHIVE_MAX = 200_000_000
"""Bytes of the zip itself."""

MEMBERS_MAX = 1_000
RATIO_MAX = 200
"""How many times its packed size a member may unpack to, above the first megabyte; CSV packs some 5 to 20 times."""


class _TooLong(Exception):
    """A member unpacks to more than its bound."""


def feed_files(source: Path | bytes, names: Iterable[str], problems: Problems) -> dict[str, bytes]:
    """Those files of a feed that bear these names, with their content; what is wrong with the feed is noted."""
    if isinstance(source, bytes):
        return _from_zip(io.BytesIO(source), len(source), "the zip", names, problems)
    if source.is_dir():
        return _from_folder(source, names, problems)
    if not source.is_file():
        problems.add(
            str(source), "there is no such file or folder", "Name a GTFS zip, or a folder with its files"
        )
        return {}
    with source.open("rb") as stream:
        return _from_zip(stream, source.stat().st_size, source.name, names, problems)


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


def _from_folder(folder: Path, names: Iterable[str], problems: Problems) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = FEED_MAX
    for name in names:
        path = folder / name
        if path.is_symlink():
            problems.add(name, "it is a link to another place", "Put the file itself into the folder")
        elif path.is_file():
            size = path.stat().st_size
            if size > min(MEMBER_MAX, left):
                problems.add(name, f"it has {size} bytes, too many", f"Keep a feed within {FEED_MAX} bytes")
                continue
            left -= size
            files[name] = path.read_bytes()
    return files


def _from_zip(
    stream: io.BytesIO | io.BufferedReader, size: int, label: str, names: Iterable[str], problems: Problems
) -> dict[str, bytes]:
    if size > ARCHIVE_MAX:
        problems.add(label, f"it has {size} bytes, too many", f"Keep a zip within {ARCHIVE_MAX} bytes")
        return {}
    try:
        with zipfile.ZipFile(stream) as archive:
            return _members(archive, label, frozenset(names), problems)
    except (
        zipfile.BadZipFile,
        EOFError,
        zlib.error,
        NotImplementedError,
        ValueError,
        OverflowError,
    ) as error:
        problems.add(label, f"it is not a whole zip ({error})", "Pack the feed again")
        return {}


def _members(
    archive: zipfile.ZipFile, label: str, names: frozenset[str], problems: Problems
) -> dict[str, bytes]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MEMBERS_MAX:
        problems.add(label, f"it holds {len(entries)} files", "A GTFS feed has a few dozen at most")
        return {}
    files: dict[str, bytes] = {}
    left = FEED_MAX
    folders: set[str] = set()
    for entry in entries:
        path = PurePosixPath(entry.filename)
        place = f"{label}, member {shown(entry.filename)}"
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
            problems.add(place, "its path leads out of the archive", "Pack the files without any path")
            continue
        if path.name not in names or path.parts[0] == "__MACOSX":
            continue
        if len(path.parts) > 1:
            problems.add(place, "it lies in a folder of the zip", "Pack the files at the root of the zip")
            folders.add(path.name)
            continue
        if path.name in files:
            problems.add(place, "the zip holds it twice", "Keep one of them")
            continue
        if entry.flag_bits & 1:
            problems.add(place, "it is encrypted", "Pack the feed without a password")
            continue
        try:
            files[path.name] = _read(archive, entry, min(MEMBER_MAX, left))
        except _TooLong:
            problems.add(
                place,
                f"it unpacks to {entry.file_size} bytes or more, too many",
                f"Keep a file within {MEMBER_MAX} bytes and a feed within {FEED_MAX}",
            )
            files[path.name] = b""
            continue
        left -= len(files[path.name])
    return files


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, bound: int) -> bytes:
    bound = min(bound, max(1_000_000, entry.compress_size * RATIO_MAX))
    if entry.file_size > bound:
        raise _TooLong
    with archive.open(entry) as member:
        content = member.read(bound + 1)
    if len(content) > bound:
        raise _TooLong
    return content
