"""HTTP for people: who am I."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency

from hansa import trust
from hansa.identity import actions
from hansa.identity.model import AccountId
from hansa.store import Context


class Me(msgspec.Struct, frozen=True):
    """The signed-in person's own account."""

    account_id: UUID
    name: Annotated[str, msgspec.Meta(max_length=200)]
    issuer_id: str
    home_city_id: str
    rider_class: str
    language: str
    created_at: datetime


@get(
    "/v1/me",
    sync_to_thread=True,
    tags=["Identity"],
    opt={"who": ("session",), "refuses": (trust.NotSignedIn,)},
)
def read_me(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> Me:
    """The account of the person who is signed in."""
    if caller.account_id is None:
        raise trust.NotSignedIn()
    with ctx.tx() as tx:
        account = actions.get_account(tx, AccountId(UUID(str(caller.account_id))))
    return Me(
        account.account_id,
        account.name,
        account.issuer_id,
        account.home_city_id,
        account.rider_class,
        account.language,
        account.created_at,
    )


ROUTES = [read_me]
