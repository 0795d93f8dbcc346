"""Where somebody wanted to go who has to sign in first: kept in their browser for a while, and gone to once they have.

A link of a shop, or a code read by a phone's own camera, opens a page that asks whoever is new here who they are; what
they came for is not to be lost over that.
"""

from typing import Any
from urllib.parse import quote, unquote

from litestar import Response
from litestar.response import Redirect

from hansa.apps.web.callers import Asked, secret_of, with_secret

COOKIE = "hansa_next"
KEPT_S = 600
"""How long one may take to sign in."""

ADDRESS_MAX = 1_000
HOME = "/wallet/home"


def sign_in_first(request: Asked) -> Response[Any]:
    """Off to sign in, and back here then. Only for pages that change nothing when they are opened."""
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    answer: Response[Any] = Redirect("/wallet/")
    if request.method != "GET" or not is_inside(address) or len(address) > ADDRESS_MAX:
        return answer
    return with_secret(answer, request, COOKIE, quote(address, safe=""), lasts_s=KEPT_S)


def gone_on(request: Asked) -> Response[Any]:
    """On to where they wanted to go, or to their first page."""
    address = unquote(secret_of(request, COOKIE))
    if not address:
        return Redirect(HOME, status_code=303)
    answer: Response[Any] = Redirect(address if is_inside(address) else HOME, status_code=303)
    return with_secret(answer, request, COOKIE, "", lasts_s=0)


def is_inside(address: str) -> bool:
    """Whether this is an address of the wallet's own, and nothing that a browser takes for another's."""
    plain = address.isascii() and address.isprintable() and "\\" not in address and " " not in address
    return plain and address.startswith("/wallet/")
