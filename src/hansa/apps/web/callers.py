"""Who is calling: a member with its key, a rider with a sign-in, or in a demo the person at this machine."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response
from litestar.datastructures import Cookie

from hansa import identity, trust
from hansa.apps.web.interface import every_scope
from hansa.apps.web.problems import CrossSite
from hansa.apps.web.site import Here, Site

Asked = Request[Any, Any, Any]

COOKIE = identity.SESSION_COOKIE
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
HERE = ("127.0.0.1", "localhost", "::1")


def find_caller(request: Asked, site: Here) -> trust.Caller:
    """Who sends this request. Errors: trust.NotSignedIn when a key is sent and is not known.

    A key counts before a sign-in, a sign-in before the place one sits at.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        with site.ctx.tx() as tx:
            return trust.caller_of_key(tx, secret.strip())
    account = find_account(request, site)
    if account is not None:
        return trust.Caller(
            caller_id=f"person:{account.account_id}",
            kind="person",
            scopes=frozenset({"wallet"}),
            account_id=str(account.account_id),
        )
    return demo_operator(request, site) or trust.ANONYMOUS


def find_account(request: Asked, site: Site) -> identity.Account | None:
    """The rider who is signed in in this browser, or None."""
    secret = request.cookies.get(COOKIE)
    if not secret:
        return None
    with site.ctx.tx() as tx:
        return identity.session_of(tx, secret, site.ctx.clock.now())


def get_account(request: Asked, site: Site) -> identity.Account:
    """The rider who is signed in. Errors: trust.NotSignedIn."""
    account = find_account(request, site)
    if account is None:
        raise trust.NotSignedIn("Sign in to your wallet first.")
    return account


def get_operator(request: Asked, site: Site) -> trust.Caller:
    """Who may look at the whole league. Errors: trust.NotSignedIn, trust.NotAllowed."""
    caller = find_caller(request, site)
    if caller.kind == "league":
        return caller
    operator = demo_operator(request, site)
    if operator is not None:
        return operator
    if caller.kind == "anonymous":
        raise trust.NotSignedIn("The console needs a league operator's key, or a demo on this very machine.")
    raise trust.NotAllowed("The console is for league operators.")


def demo_operator(request: Asked, site: Site) -> trust.Caller | None:
    """In a demo, whoever sits at this machine runs the league and may do all that a key may; nobody else does.

    The name asked for must be this machine's too: a stranger's page that lets its own name point here is refused.
    """
    if not site.demo or request.client is None:
        return None
    if not _is_here(request.client.host) or not _is_here(request.url.hostname or ""):
        return None
    return trust.Caller(caller_id="demo:league", kind="league", scopes=every_scope())


def refuse_cross_site(request: Asked) -> None:
    """Refuse a form that another site's page sends in a visitor's name. Errors: CrossSite.

    Browsers say where a request comes from; programs with a key say nothing and carry no cookie.
    """
    if request.method in SAFE_METHODS or "authorization" in request.headers:
        return
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise CrossSite()
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise CrossSite()


def with_session(answer: Response[Any], secret: str, *, secure: bool) -> Response[Any]:
    """The answer with the sign-in in a cookie no script can read."""
    answer.set_cookie(
        Cookie(
            key=COOKIE,
            value=secret,
            max_age=int(identity.SESSION_LASTS.total_seconds()),
            path="/",
            httponly=True,
            samesite="lax",
            secure=secure,
        )
    )
    return answer


def _is_here(host: str) -> bool:
    if host in HERE:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
