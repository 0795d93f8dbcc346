"""The conformance kit as a file for gate vendors: its digest names it, so that a build can pin what it was asked.

The kit of a seed never changes, so whoever has the digest may keep the file for ever; the short address asks each time.
"""

import gzip
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.params import FromPath

from hansa.gate import conformance
from hansa.kernel import HansaError

ADDRESS = "/v1/ride-code/kit"
MEDIA_TYPE = "application/jsonl"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"

Asked = Request[Any, Any, Any]
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")


class NoSuchKit(HansaError):
    """There is no kit of this digest here."""

    code: ClassVar[str] = "web.no_such_kit"
    status: ClassVar[int] = 404


@dataclass(frozen=True, slots=True)
class KitFile:
    """The kit's bytes, as they are and packed by gzip. digest: SHA-256 of the first, in hex."""

    data: bytes
    packed: bytes
    digest: str

    @property
    def etag(self) -> str:
        """Of the bytes as they are; whoever takes them packed has the same kit."""
        return f'W/"{self.digest}"'


@cache
def kit_file() -> KitFile:
    """The kit of seed 1, as ``hansa gate kit`` writes it. Made once, which takes about a second."""
    data = "".join(f"{line}\n" for line in conformance.kit_lines()).encode()
    return KitFile(data, gzip.compress(data, mtime=0), sha256(data).hexdigest())


@get(ADDRESS, sync_to_thread=True, include_in_schema=False)
def give_kit(request: Asked) -> Response[bytes]:
    """The kit of today, and in `content-location` the address under which it will never change."""
    return _answer(request, kit_file(), ASK_AGAIN)


@get(f"{ADDRESS}/{{digest:str}}", sync_to_thread=True, include_in_schema=False)
def give_pinned_kit(request: Asked, digest: FromPath[str]) -> Response[bytes]:
    """The kit of this digest, for ever. Errors: NoSuchKit."""
    kit = kit_file()
    if digest != kit.digest:
        raise NoSuchKit
    return _answer(request, kit, FOR_EVER)


def _answer(request: Asked, kit: KitFile, caching: str) -> Response[bytes]:
    headers = {
        "etag": kit.etag,
        "cache-control": caching,
        "vary": "accept-encoding",
        "content-location": f"{ADDRESS}/{kit.digest}",
        "content-disposition": 'attachment; filename="hrc1-kit.jsonl"',
    }
    if _has_it(request, kit):
        return Response(b"", status_code=304, headers=headers, media_type=MEDIA_TYPE)
    data = kit.data
    if _takes_gzip(request):
        data, headers["content-encoding"] = kit.packed, "gzip"
    return Response(data, headers=headers, media_type=MEDIA_TYPE)


def _has_it(request: Asked, kit: KitFile) -> bool:
    """Whether the caller's copy is this one (RFC 9110 section 13.1.2, weak comparison)."""
    told = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return "*" in told or f'"{kit.digest}"' in told


def _takes_gzip(request: Asked) -> bool:
    return _GZIP.search(request.headers.get("accept-encoding", "").lower()) is not None


ROUTES = [give_kit, give_pinned_kit]
