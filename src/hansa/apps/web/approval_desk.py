"""What the interface of approvals needs of this site: sign-in, passkeys, pepper, who goes on, payees."""

from functools import partial
from typing import Any
from uuid import UUID

from litestar import Request

from hansa import payments
from hansa.approval.routes import Desk
from hansa.apps.web import advancing
from hansa.apps.web.approval_pages import pepper_of
from hansa.apps.web.callers import find_session
from hansa.apps.web.relying_party import find_rp
from hansa.apps.web.site import Here, Site
from hansa.store import Tx


def desk_of(request: Request[Any, Any, Any], site: Here) -> Desk:
    """The desk for this request. A key counts before a sign-in, so with one there is no session."""
    by_key = "authorization" in request.headers
    return Desk(
        session=None if by_key else find_session(request, site),
        rp=find_rp(request, site),
        pepper=partial(pepper_of, site),
        carry_on=partial(_carry_on, site),
        payee=_payee,
        wallet=payments.wallet_id,
    )


def _carry_on(site: Site, kind: str, subject_id: UUID) -> bool:
    return advancing.carry_on(site.ctx, kind, subject_id)


def _payee(tx: Tx, payee_id: str) -> tuple[str, str, str]:
    """Errors: payments.UnknownPayeeId."""
    payee = payments.get_payee(tx, payee_id)
    return payments.payee_key(payee.payee_id), payee.name, payee.member_id
