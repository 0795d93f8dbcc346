"""Secrets of a running Hansa: what seals personal data or peppers a digest. By file or by environment, and rotated.

A secret has versions. The newest is written with; all of them are read with, until what an old one sealed is sealed
anew. Secrets are never in the database: whoever copies that has nothing that opens what they protect.

Where they are looked for, in this order: ``HANSA_SECRET_<NAME>``, its text; ``HANSA_SECRET_<NAME>_FILE``, the path of a
file with that text; else files of the keys' folder, ``<name>.1``, ``<name>.2``, ..., each with one version. The text
is one version a line, ``2:<base64url>``; a line without a number is version 1.
"""

import base64
import binascii
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hansa.kernel import HansaError, InvalidInput, Problem

LENGTH_MIN = 32
"""Bytes of a secret, at least; made ones have as many."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LINE = re.compile(r"(?:([1-9][0-9]{0,5}):)?([A-Za-z0-9_-]+)=*")


class SecretMissing(HansaError):
    """A secret is not there, and nobody may make another in its place."""

    code: ClassVar[str] = "store.secret_missing"
    status: ClassVar[int] = 500


class SecretUnfit(HansaError):
    """A secret cannot be used: it is damaged, too short, or others than its owner may read it."""

    code: ClassVar[str] = "store.secret_unfit"
    status: ClassVar[int] = 500


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret in all its versions. versions: number -> value, 32 bytes or more, never printed."""

    name: str
    versions: Mapping[int, bytes] = field(repr=False)
    where: str = ""

    @property
    def newest(self) -> int:
        """The version to write with."""
        return max(self.versions)

    @property
    def value(self) -> bytes:
        """The newest version's value."""
        return self.versions[self.newest]

    def version(self, number: int) -> bytes:
        """The value under which something was written. Errors: SecretMissing, for a version that was thrown away."""
        try:
            return self.versions[number]
        except KeyError:
            raise SecretMissing(
                f"Version {number} of the secret {self.name} is gone, and what it sealed cannot be opened without."
                f" Put it back from its copy: {self.where}."
            ) from None


def read_secret(name: str, folder: Path, *, make: bool = False) -> Secret:
    """All versions of this secret.

    name: small letters, digits and hyphens. folder: where keys are, ``home/keys``. make: make version 1 when there is
    none, with its file readable for its owner alone (a demonstration, or ``hansa secrets rotate``).
    Errors: SecretMissing, with how to make one; SecretUnfit.
    """
    _check_name(name)
    variable = _variable(name)
    given, file = os.environ.get(variable), os.environ.get(f"{variable}_FILE")
    if given is not None:
        return Secret(name, _parsed(name, given, variable), where=variable)
    if file is not None:
        return Secret(name, _parsed(name, _text_of(Path(file)), file), where=file)
    found = _in_folder(name, folder)
    if not found and make:
        _write(folder / f"{name}.1")
        found = _in_folder(name, folder)
    if not found:
        raise SecretMissing(
            f"There is no secret {name}. Put it back from its copy; for a new Hansa make one:"
            f" hansa secrets rotate {name}. It may also come as {variable} or {variable}_FILE."
        )
    return Secret(name, found, where=str(folder / f"{name}.<version>"))


def rotate_secret(name: str, folder: Path) -> Secret:
    """Make the next version, which is written with from now on; older ones stay to be read with.

    Whoever has read the secret before goes on with what it has until it starts anew.
    Errors: SecretUnfit when the secret comes by the environment: its next version is added there, as another line.
    """
    _check_name(name)
    variable = _variable(name)
    if any(one in os.environ for one in (variable, f"{variable}_FILE")):
        raise SecretUnfit(
            f"The secret {name} comes by the environment. Add the next version to what {variable} or {variable}_FILE"
            " holds, as a line of its own, such as 2:<base64url of 32 random bytes>."
        )
    number = max(_in_folder(name, folder), default=0) + 1
    _write(folder / f"{name}.{number}")
    return read_secret(name, folder)


def list_secrets(folder: Path) -> list[Secret]:
    """The secrets of a folder and of the environment, by name. Errors: SecretUnfit."""
    names = {path.stem for path in folder.glob("*.*") if _numbered(path)}
    for variable in os.environ:
        if variable.startswith("HANSA_SECRET_"):
            name = variable.removeprefix("HANSA_SECRET_").removesuffix("_FILE").lower().replace("_", "-")
            names |= {name} if _NAME.fullmatch(name) else set()
    return [read_secret(name, folder) for name in sorted(names)]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "This cannot be a secret's name.",
            problems=(Problem("name", repr(name), "Use small letters, digits and hyphens"),),
        )


def _variable(name: str) -> str:
    return f"HANSA_SECRET_{name.upper().replace('-', '_')}"


def _in_folder(name: str, folder: Path) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for path in folder.glob(f"{name}.*"):
        number = _numbered(path)
        if number and path.stem == name:
            found[number] = _decoded(name, _text_of(path).strip(), path.name)
    return found


def _numbered(path: Path) -> int:
    """Which version a file of the folder holds; 0 for a file that is no secret's."""
    suffix = path.suffix[1:]
    return int(suffix) if suffix.isdecimal() and suffix[0] != "0" and _NAME.fullmatch(path.stem) else 0


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise SecretUnfit(f"Others may read {path}. Run: chmod 600 on it, and rotate the secret.")
        return path.read_text("ascii")
    except FileNotFoundError as error:
        raise SecretMissing(f"{path} is not there; put it back from its copy.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnfit(f"{path} cannot be read: {error}") from error


def _parsed(name: str, text: str, where: str) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for line in filter(None, (line.strip() for line in re.split(r"[\n,]", text))):
        number, _, _ = line.rpartition(":")
        if not number:
            line = f"1:{line}"
        match = _LINE.fullmatch(line)
        if match is None or int(match[1]) in found:
            raise SecretUnfit(f"{where} is no secret: write one version a line, such as 2:<base64url>.")
        found[int(match[1])] = _decoded(name, match[2], where)
    if not found:
        raise SecretUnfit(f"{where} is empty: write one version a line, such as 1:<base64url of 32 bytes>.")
    return found


def _decoded(name: str, text: str, where: str) -> bytes:
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretUnfit(f"{where} is damaged; put it back from its copy.") from error
    if len(value) < LENGTH_MIN:
        raise SecretUnfit(f"{where} is too short for the secret {name}: it needs {LENGTH_MIN} bytes or more.")
    return value


def _write(path: Path) -> None:
    """Make a version, whole or not at all; when another process was faster, its one counts."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = base64.urlsafe_b64encode(secrets.token_bytes(LENGTH_MIN)).rstrip(b"=") + b"\n"
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
