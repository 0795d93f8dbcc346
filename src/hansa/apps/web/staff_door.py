"""The cookies of staff: whose sign-in a browser of the console holds, and its passkey checked again."""

import secrets
from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.types import Scope

from hansa import identity
from hansa.apps.web.relying_party import rp_of
from hansa.apps.web.site import Site
from hansa.identity import ceremony
from hansa.trust import staff
from hansa.trust.staff import SignedIn
from hansa.trust.staff_model import StaffPasskey

Asked = Request[Any, Any, Any]

COOKIE, BROWSER = "hansa_staff", "hansa_staff_browser"
"""The secret of a sign-in; and what tells a browser from others while a passkey is asked for."""

PREFIX = "__Host-"
"""A cookie of this prefix is for this host alone and was set over TLS (RFC 6265bis, section 4.1.3)."""

CHANGED = "hansa_staff_changed"
"""Under this name a request's state holds the secret that its answer is to set."""


def find_staff(request: Asked, site: Site, *, touch: bool = True) -> SignedIn | None:
    """Who is signed in at the console in this browser, or None. touch: whether this counts as use."""
    secret = _value(request, COOKIE)
    if not secret:
        return None
    with site.ctx.tx() as tx:
        return staff.find_signed_in(tx, secret, site.ctx.clock.now(), touch=touch)


def browser_of(request: Asked) -> str:
    """What only this browser has; empty when it has nothing yet."""
    return _value(request, BROWSER)


def with_browser(answer: Response[Any], request: Asked) -> tuple[Response[Any], str]:
    """The answer, and what only the browser that gets it has."""
    known = browser_of(request)
    if len(known) >= 32:
        return answer, known
    made = secrets.token_urlsafe(32)
    answer.set_cookie(_cookie(request, BROWSER, made, lasts_s=3_600))
    return answer, made


def with_sign_in(answer: Response[Any], request: Asked, secret: str) -> Response[Any]:
    """The answer with the sign-in in a cookie that no script and no other site can use; it goes with the browser."""
    answer.set_cookie(_cookie(request, COOKIE, secret, lasts_s=None))
    return answer


def without_sign_in(answer: Response[Any], request: Asked) -> Response[Any]:
    """The answer that has the browser forget all it knows of the console."""
    answer.set_cookie(_cookie(request, COOKIE, "", lasts_s=0))
    answer.headers["clear-site-data"] = '"cache", "cookies", "storage"'
    return answer


def keep_secret(request: Asked, secret: str) -> None:
    """Set this secret with whatever the request is answered."""
    request.scope["state"][CHANGED] = secret, request.url.scheme == "https"


def secret_to_set(scope: Scope) -> str | None:
    """The Set-Cookie of an answer whose request changed its sign-in's secret."""
    kept = scope.get("state", {}).pop(CHANGED, None)
    if kept is None:
        return None
    secret, secure = kept
    cookie = Cookie(
        key=(PREFIX if secure else "") + COOKIE,
        value=secret,
        path="/",
        httponly=True,
        samesite="strict",
        secure=secure,
    )
    return cookie.to_header(header="")


def check_step_up(request: Asked, site: Site, who: SignedIn, credential: str) -> str:
    """Check that the signed-in person used their passkey just now; the new secret of their sign-in.

    Errors: identity.CeremonyRefused, StaffChallengeRefused, StaffSignInRefused.
    """
    now = site.ctx.clock.now()
    assertion = ceremony.read_assertion(credential)
    with site.ctx.tx() as tx:  # the challenge is used up whatever comes of it
        staff.take_challenge(tx, assertion.challenge, "step-up", bound_to=str(who.session.session_id), at=now)
    with site.ctx.tx() as tx:
        _, passkey = staff.get_passkey(tx, assertion.credential_id)
        checked = check(request, site, assertion, passkey)
        return staff.step_up(
            tx, who, passkey, sign_count=checked.sign_count, backed_up=checked.backed_up, at=now
        )


def check(
    request: Asked, site: Site, assertion: ceremony.Assertion, passkey: StaffPasskey
) -> ceremony.Checked:
    """What a good answer of this passkey says, its challenge taken already. Errors: identity.CeremonyRefused."""
    return ceremony.check_assertion(
        assertion,
        public_key=passkey.public_key,
        challenge=assertion.challenge,
        rp=party_of(request, site),
        sign_count=passkey.sign_count,
    )


def party_of(request: Asked, site: Site) -> identity.RelyingParty:
    """For whom passkeys of the console are made. Errors: NoPasskeysHere."""
    party = rp_of(request, site)
    return identity.RelyingParty(party.rp_id, party.origin, "Hansa console")


def _value(request: Asked, name: str) -> str:
    """A cookie's value: by its prefix alone where there is TLS."""
    found = request.cookies.get(PREFIX + name, "")
    return found if request.url.scheme == "https" else found or request.cookies.get(name, "")


def _cookie(request: Asked, name: str, value: str, *, lasts_s: int | None) -> Cookie:
    secure = request.url.scheme == "https"
    return Cookie(
        key=(PREFIX if secure else "") + name,
        value=value,
        max_age=lasts_s,
        path="/",
        httponly=True,
        samesite="strict",
        secure=secure,
    )
