"""Files that never change under their address: style, scripts and pictures, packed and kept by browsers for a year.

Every page asks for our files under their version, ``/static/1f0c…/js/wallet.js``: a script's own imports are relative,
so they come under the same version, and a browser that has a version never asks for it again. Under another version, or
none, the file of today is given and asked after each time. Files are packed by gzip once, scripts without comments, and
kept in memory. Pages are not packed: what a stranger has a page say could be measured against its secrets by its
length (BREACH, 2013).

Source: RFC 9110 sections 8.8.3 and 13.1.2, RFC 8246.
"""

import gzip
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hansa.apps.web.pages import STATIC, VERSION
from hansa.apps.web.script_packs import PACKS, pack, without_comments

FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
OF_PACKS = "js/packs/"
PACKED_FROM = 200
"""Bytes below which packing a file saves nothing."""
FILES_KEPT = 512
"""Files that are kept in memory; there are far fewer."""

Asked = Request[Any, Any, Any]

_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is sent. packed: by gzip; empty where that does not make it smaller."""

    media_type: str
    plain: bytes
    packed: bytes
    tag: str


def file_routes(browser_files: Path | None, packages: Sequence[str]) -> list[HTTPRouteHandler]:
    """The routes of our files, and of the npm packages that pages load. browser_files: the folder ``node_modules``."""
    routes = [_route("/static", STATIC, "static")]
    if browser_files is not None:
        routes += [_route(f"/vendor/{one}", browser_files / one, f"vendor-{one}") for one in packages]
    return routes


def _route(path: str, folder: Path, name: str) -> HTTPRouteHandler:
    @route(
        f"{path}/{{file_path:path}}",
        http_method=[HttpMethod.GET, HttpMethod.HEAD],
        name=name,
        sync_to_thread=False,
        include_in_schema=False,
    )
    def give_file(request: Asked, file_path: FromPath[str]) -> Response[bytes]:
        wanted = str(file_path).lstrip("/")
        version, _, rest = wanted.partition("/")
        if path == "/static" and _is_version(version):
            return _answer(request, folder, rest, FOREVER if version == VERSION else ASK_AGAIN)
        return _answer(request, folder, wanted, ASK_AGAIN)

    return give_file


def _is_version(text: str) -> bool:
    return len(text) == len(VERSION) and all(one in "0123456789abcdef" for one in text)


def _answer(request: Asked, folder: Path, name: str, keep: str) -> Response[bytes]:
    if folder == STATIC and name.removeprefix(OF_PACKS) in PACKS and name.startswith(OF_PACKS):
        return _sent(request, _packed(name.removeprefix(OF_PACKS)), keep)
    found = folder / name
    try:
        if not name or not found.resolve().is_relative_to(folder.resolve()) or not found.is_file():
            raise NotFoundException
        file = _read(found, found.stat().st_mtime_ns)
    except (OSError, ValueError) as error:
        raise NotFoundException from error
    return _sent(request, file, keep)


def _sent(request: Asked, file: _File, keep: str) -> Response[bytes]:
    packs = bool(file.packed) and _takes_gzip(request.headers.get("accept-encoding", ""))
    tag = f'"{file.tag}-gz"' if packs else f'"{file.tag}"'
    headers = {"cache-control": keep, "etag": tag, "vary": "Accept-Encoding"}
    if tag in [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]:
        return Response(b"", status_code=304, headers=headers, media_type=file.media_type)
    if packs:
        headers["content-encoding"] = "gzip"
    return Response(file.packed if packs else file.plain, headers=headers, media_type=file.media_type)


@lru_cache(maxsize=FILES_KEPT)
def _read(path: Path, _changed_at: int) -> _File:
    """The file; read again when it was changed."""
    plain = path.read_bytes()
    if path.suffix in (".js", ".mjs"):
        plain = without_comments(plain.decode()).encode()
    known = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return _file(plain, known or "application/octet-stream")


@cache
def _packed(name: str) -> _File:
    return _file(pack(PACKS[name], STATIC / "js").encode(), _TYPES[".js"])


def _file(plain: bytes, media_type: str) -> _File:
    packed = gzip.compress(plain, 9, mtime=0) if len(plain) >= PACKED_FROM else b""
    if len(packed) > 0.9 * len(plain):
        packed = b""
    return _File(media_type, plain, packed, sha256(plain).hexdigest()[:20])


def _takes_gzip(accepted: str) -> bool:
    """Whether ``Accept-Encoding`` takes gzip."""
    for one in accepted.lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
