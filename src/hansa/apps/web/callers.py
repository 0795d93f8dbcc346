"""Who is calling: a member with its key, a rider with a sign-in, or in a demo the person at this machine."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response
from litestar.datastructures import Cookie

from hansa import identity, trust
from hansa.apps.web import bell, own_desk
from hansa.apps.web.interface import every_scope
from hansa.apps.web.problems import CrossSite
from hansa.apps.web.site import Here, Site

Asked = Request[Any, Any, Any]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
HERE = ("127.0.0.1", "localhost", "::1")

OPERATOR = "hansa_operator"
"""Under this name a request's state holds the person whom the console's gate let in (``console_guard``)."""


def find_caller(request: Asked, site: Here) -> trust.Caller:
    """Who sends this request. Errors: trust.NotSignedIn when a key is sent and is not known, or not as a bearer token.

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
    if (
        scheme
    ):  # whoever sends a key in another way would be taken for whoever sits at a demonstration's machine
        raise trust.NotSignedIn("Send the key as a bearer token: `Authorization: Bearer hansa_…`.")
    return demo_operator(request, site) or trust.ANONYMOUS


def session_secret(request: Asked) -> str:
    """The secret of the session in this browser; empty when there is none."""
    return secret_of(request, identity.SESSION_COOKIE)


def secret_of(request: Asked, name: str) -> str:
    """The secret in a cookie of this name, with its prefix or, over plain http, without; empty when there is none."""
    return identity.secret_in(request.cookies, name, secure=request.url.scheme == "https")


def find_signed_in(request: Asked, site: Site) -> tuple[identity.Session, identity.Account] | None:
    """The session in this browser and its person, or None."""
    secret = session_secret(request)
    if not secret:
        return None
    with site.ctx.tx() as tx:
        found = identity.find_signed_in(tx, secret, site.ctx.clock.now())
    if found is not None:
        bell.hang(site.ctx, found[1])
    return found


def get_signed_in(request: Asked, site: Site) -> tuple[identity.Session, identity.Account]:
    """The session in this browser and its person. Errors: trust.NotSignedIn."""
    found = find_signed_in(request, site)
    if found is None:
        raise trust.NotSignedIn("Sign in to your wallet first.")
    return found


def find_session(request: Asked, site: Site) -> identity.Session | None:
    """The session in this browser, or None."""
    found = find_signed_in(request, site)
    return None if found is None else found[0]


def find_account(request: Asked, site: Site) -> identity.Account | None:
    """The rider who is signed in in this browser, or None."""
    found = find_signed_in(request, site)
    return None if found is None else found[1]


def get_account(request: Asked, site: Site) -> identity.Account:
    """The rider who is signed in. Errors: trust.NotSignedIn."""
    return get_signed_in(request, site)[1]


def get_operator(request: Asked, site: Site) -> trust.Caller:
    """Who may look at this page of the console. Errors: trust.NotSignedIn, trust.NotAllowed."""
    let_in: trust.Caller | None = request.scope.get("state", {}).get(OPERATOR)
    if let_in is not None:
        own_desk.sit(None if let_in.kind == "league" else let_in.member_id)
        return let_in
    caller = find_caller(request, site)
    if caller.kind == "league":
        return caller
    operator = demo_operator(request, site)
    if operator is not None:
        return operator
    if caller.kind == "anonymous":
        raise trust.NotSignedIn("The console needs a passkey of its staff, or a demo on this very machine.")
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

    Browsers say where a request comes from; programs with a key say nothing and carry no cookie. What carries both
    is looked at: pages go by the cookie alone.
    """
    headers = request.headers
    if request.method in SAFE_METHODS or ("authorization" in headers and "cookie" not in headers):
        return
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise CrossSite()
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise CrossSite()


def with_session(
    answer: Response[Any], request: Asked, secret: str, *, shared: bool = False
) -> Response[Any]:
    """The answer with the session in a cookie that no script can read and no neighbour of this host can set.

    shared: the cookie goes when the browser is closed. Where a browser would not keep a secure cookie (plain http, in a
    demonstration), it is a plain one.
    """
    lasts = None if shared else identity.own_people_policy().own_absolute_s
    if keeps_secure(request) and identity.SESSION_COOKIE in request.cookies:
        answer.delete_cookie(identity.SESSION_COOKIE, path="/")
    return with_secret(answer, request, identity.SESSION_COOKIE, secret, lasts_s=lasts)


def without_session(answer: Response[Any], request: Asked) -> Response[Any]:
    """The answer that has the browser forget its session."""
    answer.delete_cookie(identity.SESSION_COOKIE, path="/")
    return with_secret(answer, request, identity.SESSION_COOKIE, "", lasts_s=0)


def with_secret(
    answer: Response[Any], request: Asked, name: str, secret: str, *, lasts_s: int | None
) -> Response[Any]:
    """The answer with a secret in a cookie for the server alone; its name begins with ``__Host-`` where it is secure.

    lasts_s: for how many seconds; 0 takes it away, None is until the browser is closed.
    """
    secure = keeps_secure(request)
    answer.set_cookie(
        Cookie(
            key=identity.HOST_PREFIX + name if secure else name,
            value=secret,
            max_age=lasts_s,
            path="/",
            httponly=True,
            samesite="lax",
            secure=secure,
        )
    )
    return answer


def keeps_secure(request: Asked) -> bool:
    """Whether this browser keeps a secure cookie from this page: over TLS, and from localhost in Chromium and Firefox.

    Safari keeps none from http://localhost.
    """
    if request.url.scheme == "https":
        return True
    agent = request.headers.get("user-agent", "")
    return request.url.hostname == "localhost" and ("Chrome/" in agent or "Firefox/" in agent)


def _is_here(host: str) -> bool:
    if host in HERE or host.endswith(
        ".localhost"
    ):  # which no name server is asked for (RFC 6761 section 6.3)
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
