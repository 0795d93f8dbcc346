"""Refusals that may be somebody trying: each is a line of the log ``hansa.security``, with who asked and for what.

Kept are the code, the address as its route writes it (with no value that was sent), where it came from, and
its id, by which the answer is found. What was sent is in no line. Source: OWASP ASVS 5.0, 16.3.1 to 16.3.3.
"""

import logging
from typing import Any

import msgspec
from litestar import Request

from hansa.apps.web.request_ids import request_id_of
from hansa.kernel import HansaError

logger = logging.getLogger("hansa.security")

FORBIDDEN = frozenset({401, 403, 429})
"""Statuses of who is not let: not known, not allowed, too often."""

TRIED = frozenset(
    {
        "identity.ceremony_refused",
        "identity.challenge_refused",
        "identity.code_refused",
        "identity.contact_code_refused",
        "identity.invitation_refused",
        "identity.nonce_refused",
        "identity.passkey_copied",
        "identity.proof_refused",
        "identity.unknown_passkey",
        "trust.enrolment_refused",
        "trust.invitation_refused",
        "trust.renewal_refused",
        "trust.staff_challenge_refused",
    }
)
"""Codes of a proof of who somebody is that was none, whatever their status."""

ASKS_TO_SIGN_IN = "trust.not_signed_in"


def note_refusal(request: Request[Any, Any, Any], code: str, status: int) -> None:
    """Write a refusal down, if it is one of who somebody is, of what they may, or of how often.

    Who comes with no key and no cookie and is asked to sign in tried nothing, and is not written down.
    """
    if code not in TRIED and status not in FORBIDDEN:
        return
    if code == ASKS_TO_SIGN_IN and not ("authorization" in request.headers or request.cookies):
        return
    handler = request.scope.get("route_handler")
    told = {
        "code": code,
        "asked": f"{request.method} {min(getattr(handler, 'paths', ()), default='')}",
        "from": request.client.host if request.client is not None else "",
        "id": str(request_id_of(request)),
    }
    logger.warning("Refused: %s", msgspec.json.encode(told).decode())


def note_error(request: Request[Any, Any, Any], error: HansaError) -> None:
    """The same for an error that a page shows in its own place."""
    note_refusal(request, error.code, error.status)
