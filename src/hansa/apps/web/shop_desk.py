"""The console's desk for shops that ask to be paid: who waits at which acquirer, opened with a fee or refused."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import merchants, trust
from hansa.apps.web.clerks import clerk_of
from hansa.apps.web.pages import page
from hansa.apps.web.recovery_desk import own_members
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Problem

Asked = Request[Any, Any, Any]

LISTED_MAX = 100


class DecisionForm(msgspec.Struct, frozen=True):
    """What is decided, why, and what the acquirer keeps of each sale in basis points."""

    do: Literal["open", "refuse"]
    reason: Annotated[str, msgspec.Meta(max_length=600)] = ""
    fee_bp: Annotated[str, msgspec.Meta(max_length=10)] = "60"


@get("/console/shops", sync_to_thread=True, include_in_schema=False)
def show_shops(
    request: Asked, site: Here, done: Annotated[str, QueryParameter(max_length=1)] = ""
) -> Response[str]:
    """Shops that wait at the members this desk looks after."""
    return _page(site, own_members(request, site), done=bool(done))


@post("/console/shops/{merchant_id:uuid}", sync_to_thread=True, include_in_schema=False)
def decide_shop(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    data: Annotated[DecisionForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    own = own_members(request, site)
    try:
        with site.ctx.tx() as tx:
            if merchants.get_merchant(tx, merchant_id).member_id not in own:
                raise merchants.UnknownMerchant
        merchants.decide(
            site.ctx,
            merchant_id,
            yes=data.do == "open",
            by=clerk_of(request, site),
            at=site.ctx.clock.now(),
            reason=data.reason,
            fee_bp=_basis_points(data.fee_bp),
        )
    except (InvalidInput, merchants.UnknownMerchant, merchants.MerchantDecided) as refused:
        return _page(site, own, refused=refused)
    return Redirect("/console/shops?done=1", status_code=303)


def _basis_points(text: str) -> int:
    """Errors: InvalidInput."""
    plain = text.strip()
    if not (plain.isascii() and plain.isdigit()):
        problem = Problem("fee_bp", "it is no whole number", "Write 60 for six tenths of a percent")
        raise InvalidInput("This fee cannot be.", problems=(problem,))
    return int(plain)


def _page(
    site: Site, own: frozenset[str], *, done: bool = False, refused: HansaError | None = None
) -> Response[str]:
    with site.ctx.tx() as tx:
        waiting = merchants.list_merchants(tx, status="applied", limit=LISTED_MAX)
        members = {one.member_id: one.name for one in trust.list_members(tx)}
    return page(
        "console/shops.html",
        here="shops",
        waiting=[one for one in waiting if one.member_id in own],
        members=members,
        done=done,
        refused=refused,
        status_code=200 if refused is None else refused.status,
    )


ROUTES = [show_shops, decide_shop]
