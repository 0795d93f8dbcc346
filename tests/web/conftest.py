"""What tests of the web application share: the application on a rolled-back database, and a browser to ask it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from litestar.types import ASGIApp, Receive, Scope, Send

from hansa import trust
from hansa.apps.web import create_app
from hansa.store import Context
from web import little_league
from web.little_league import LittleLeague

HERE = "http://127.0.0.1"


def seen_from(app: ASGIApp, host: str) -> ASGIApp:
    """The application as it sees a caller at this address."""

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["client"] = (host, 50000)
        await app(scope, receive, send)

    return asgi


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def league(ctx: Context, home: Path) -> LittleLeague:
    return little_league.build(ctx, trust.KeyFolder(home / "keys"))


@pytest.fixture
def client(ctx: Context, home: Path) -> Iterator[TestClient[Any]]:
    """A browser on this very machine, in a demo."""
    app = create_app(ctx, home=home, demo=True)
    with TestClient(seen_from(app, "127.0.0.1"), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def stranger(ctx: Context, home: Path) -> Iterator[TestClient[Any]]:
    """A browser somewhere else."""
    app = create_app(ctx, home=home, demo=True)
    with TestClient(
        seen_from(app, "203.0.113.9"), base_url="http://hansa.example", raise_server_exceptions=False
    ) as client:
        yield client
