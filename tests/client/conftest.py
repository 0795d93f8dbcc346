"""What tests of the Python client share: the package, and a client of a little league."""

from collections.abc import Callable
from typing import Any

import pytest
from litestar.testing import TestClient

from client.making import make_client_in
from hansa import trust
from hansa.store import Context
from web.conftest import client, home, league, stranger
from web.little_league import LittleLeague

__all__ = ["client", "home", "league", "stranger"]

SCOPES = (
    "payments:read",
    "payments:write",
    "members:read",
    "webhooks:read",
    "webhooks:write",
    "clearing:read",
    "hub:read",
    "hub:pay",
    "hub:write",
)

Asked = Callable[..., Any]


def at_once(_: float) -> None:
    """Waits for nobody."""


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The package ``hansa_client``."""
    return make_client_in(tmp_path_factory.mktemp("client"))


@pytest.fixture
def hansa_as(ctx: Context, sdk: Any, stranger: TestClient[Any], league: LittleLeague) -> Asked:
    """A client with a key of this member; it waits for nobody."""

    def made(member_id: str, *, scopes: tuple[str, ...] = SCOPES) -> Any:
        with ctx.tx() as tx:
            key = trust.create_api_key(tx, member_id, scopes, at=ctx.clock.now())
        return sdk.Hansa(http=stranger, key=key, sleep=at_once)

    return made
