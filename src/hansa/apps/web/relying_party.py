"""For which host passkeys are made and used: the one in the browser's address, where browsers allow it."""

from ipaddress import ip_address
from typing import Any, ClassVar

from litestar import Request

from hansa import identity
from hansa.apps.web.site import Site
from hansa.kernel import HansaError

Asked = Request[Any, Any, Any]

LOCAL = "localhost"
"""The one host that browsers trust over plain http (W3C Secure Contexts section 3.1); an address such as 127.0.0.1 has
no name, and passkeys are made for names."""


class NoPasskeysHere(HansaError):
    """Passkeys work at a name over https, or at http://localhost; this address is neither."""

    code: ClassVar[str] = "identity.no_passkeys_here"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Open the page by its name over https; on your own machine, at http://localhost."


def rp_of(request: Asked, site: Site) -> identity.RelyingParty:
    """The relying party of the page that sent this request. Errors: NoPasskeysHere."""
    rp = find_rp(request, site)
    if rp is None:
        raise NoPasskeysHere
    return rp


def find_rp(request: Asked, _site: Site) -> identity.RelyingParty | None:
    """The relying party of this request's page; None where browsers would refuse."""
    host = request.url.hostname or ""
    secure = request.url.scheme == "https" or host == LOCAL or host.endswith(f".{LOCAL}")
    if not secure or _is_address(host):
        return None
    return identity.RelyingParty(host, f"{request.url.scheme}://{request.url.netloc}")


def by_its_name(request: Asked) -> str:
    """Where this page is at http://localhost, for whoever opened it by 127.0.0.1; empty for everybody else."""
    host = request.url.hostname or ""
    if request.url.scheme != "http" or not _is_address(host) or not ip_address(host).is_loopback:
        return ""
    port = f":{request.url.port}" if request.url.port else ""
    return f"http://{LOCAL}{port}{request.url.path}"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return not host
    return True
