"""The wallet's page of phones: which make codes for this account, and what to do when one is lost."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import atlas, identity, rides
from hansa.apps.web.callers import get_account, session_secret
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here

Asked = Request[Any, Any, Any]

DONE = {
    "lost": "The phone was reported lost. Gates with network refuse its codes within a minute.",
    "removed": "The phone was removed. Its codes end.",
    "name": "The phone has its new name.",
}
"""What was just done, in words."""


class NameForm(msgspec.Struct, frozen=True):
    """Another name for a phone."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=identity.NAME_MAX)]


@get("/wallet/phones", sync_to_thread=True, include_in_schema=False)
def show_phones(
    request: Asked, site: Here, done: Annotated[str, QueryParameter(max_length=10)] = ""
) -> Response[str]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        phones = identity.list_phones(tx, account.account_id)
        this = identity.find_phone_of_session(tx, session_secret(request), site.ctx.clock.now())
        answer = page(
            "wallet/phones.html",
            here="phones",
            account=account,
            say=say,
            active=[one for one in phones if one.status == "active"],
            ended=[one for one in phones if one.status != "active"],
            this_phone=None if this is None else this.phone_id,
            standing=identity.standing_of(tx, account.account_id),
            phones_max=identity.own_phone_policy().phones_max,
            name_max=identity.NAME_MAX,
            zone=atlas.get_city(tx, account.home_city_id).tz,
            done=DONE.get(done, ""),
        )
    return spoken(answer, say, request)


@post("/wallet/phones/{phone_id:uuid}/lost", sync_to_thread=True, include_in_schema=False)
def lose_phone(request: Asked, site: Here, phone_id: FromPath[UUID]) -> Redirect:
    return _end(request, site, phone_id, "lost")


@post("/wallet/phones/{phone_id:uuid}/removed", sync_to_thread=True, include_in_schema=False)
def remove_phone(request: Asked, site: Here, phone_id: FromPath[UUID]) -> Redirect:
    return _end(request, site, phone_id, "removed")


@post("/wallet/phones/{phone_id:uuid}/name", sync_to_thread=True, include_in_schema=False)
def name_phone(
    request: Asked,
    site: Here,
    phone_id: FromPath[UUID],
    data: Annotated[NameForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect:
    account = get_account(request, site)
    with site.ctx.tx() as tx:
        identity.name_phone(tx, account.account_id, phone_id, data.name)
    return Redirect("/wallet/phones?done=name", status_code=303)


def _end(request: Asked, site: Here, phone_id: UUID, status: Literal["lost", "removed"]) -> Redirect:
    account = get_account(request, site)
    with site.ctx.tx() as tx:
        rides.end_phone(tx, account.account_id, phone_id, status, at=site.ctx.clock.now())
    return Redirect(f"/wallet/phones?done={status}", status_code=303)


ROUTES = [show_phones, lose_phone, remove_phone, name_phone]
