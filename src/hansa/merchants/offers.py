"""Where a payee's customers go back to once they paid online: to sites of its own, which were named before.

A page that pays sends nobody anywhere else, whatever address it was opened with: it is no open redirect. What a shop
learns when its customer is back is nothing but which payment it was; whether it is paid it asks over the interface.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from hansa.kernel import InvalidInput, Problem
from hansa.store import Tx

ORIGINS_MAX = 10
RETURN_MAX = 1_000
"""Characters of an address to go back to."""

SET_ORIGINS = """
with gone as (
    delete from merchants.return_origins where payee_id = %(payee_id)s and origin <> all(%(origins)s)
)
insert into merchants.return_origins (payee_id, origin, added_at, added_by)
select %(payee_id)s, one, %(at)s, %(by)s from unnest(%(origins)s::text[]) as one
on conflict (payee_id, origin) do nothing
"""
LIST_ORIGINS = "select origin from merchants.return_origins where payee_id = %s order by origin"

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN = re.compile(
    rf"(?:https://{_LABEL}(?:\.{_LABEL})+|https?://(?:localhost|127\.0\.0\.1))(?::[1-9][0-9]{{0,4}})?",
    re.ASCII,
)


def check_origin(text: str) -> str:
    """The origin of a site as it is kept: ``https://shop.example``, small letters, no path; http for localhost alone.

    Errors: InvalidInput.
    """
    origin = text.strip().lower().removesuffix("/")
    for scheme, port in (("https://", ":443"), ("http://", ":80")):
        if origin.startswith(scheme):
            origin = origin.removesuffix(port)
    host_port = origin.rpartition(":")[2]
    fits = len(origin) <= 300 and _ORIGIN.fullmatch(origin) is not None
    if not fits or (host_port.isdigit() and int(host_port) > 65_535):
        problem = Problem(
            "origins",
            f"{text.strip()[:80]!r} is no origin",
            "Write it as https://shop.example, without a path; other letters than Latin as xn--",
        )
        raise InvalidInput("Customers go back to a site of yours over https.", problems=(problem,))
    return origin


def check_origins(origins: Sequence[str]) -> list[str]:
    """These origins as they are kept, each once, in order. Errors: InvalidInput."""
    wanted = sorted({check_origin(one) for one in origins})
    if len(wanted) > ORIGINS_MAX:
        problem = Problem("origins", f"there are {len(wanted)}", f"Name at most {ORIGINS_MAX}")
        raise InvalidInput("A shop has a few sites.", problems=(problem,))
    return wanted


def set_return_origins(tx: Tx, payee_id: str, origins: Sequence[str], *, by: str, at: datetime) -> list[str]:
    """From now on customers of this payee may go back to these sites, and no others; gives them in order.

    The caller sees to it that the payee is its own. Errors: InvalidInput; nothing is changed then.
    """
    wanted = check_origins(origins)
    tx.execute(SET_ORIGINS, {"payee_id": payee_id, "origins": wanted, "at": at, "by": by})
    return wanted


def list_return_origins(tx: Tx, payee_id: str) -> list[str]:
    """To which sites customers of this payee may go back."""
    return [origin for (origin,) in tx.execute(LIST_ORIGINS, (payee_id,)).fetchall()]


def return_address(tx: Tx, payee_id: str, address: str, payment_id: UUID) -> str:
    """Where a customer goes back to: this address with the payment's id, if it is on a site of the payee's; else empty.

    It is compared letter by letter with what is kept, so that no two readings of an address can differ.
    """
    plain = 0 < len(address) <= RETURN_MAX and all(
        "!" <= one <= "~" and one not in '\\"<>`' for one in address
    )
    if not plain or "#" in address:
        return ""
    for origin in list_return_origins(tx, payee_id):
        rest = address.removeprefix(origin)
        if len(rest) < len(address) and rest[:1] in ("", "/", "?"):
            return f"{address}{'&' if '?' in rest else '?'}payment_id={payment_id}"
    return ""
