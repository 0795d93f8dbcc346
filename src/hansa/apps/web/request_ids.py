"""The id of a request, under which its answer, its refusal and our log speak of it."""

from typing import Any
from uuid import UUID

from litestar import Request

from hansa.kernel import new_id

REQUEST_ID = "hansa_request_id"
"""Under this name a request's state holds its id, a UUID."""


def request_id_of(request: Request[Any, Any, Any]) -> UUID:
    """The id of this request: what the caller or the front door gave it, else a new one."""
    given = request.scope.get("state", {}).get(REQUEST_ID)
    return given if isinstance(given, UUID) else new_id()
