"""One process may serve several Hansas: routes are made ready once, and each request is answered by its own."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from litestar.testing import TestClient

from hansa.apps.web import create_app
from hansa.store import Context
from web.conftest import HERE, seen_from


def test_two_hansas_in_one_process_keep_apart(ctx: Context, tmp_path: Path) -> None:
    demo = seen_from(create_app(ctx, home=tmp_path / "demo", demo=True), "127.0.0.1")
    earnest = seen_from(create_app(ctx, home=tmp_path / "earnest", demo=False), "127.0.0.1")

    def statuses(client: TestClient[Any]) -> list[int]:
        return [client.get("/console/networks").status_code for _ in range(8)]

    with (
        TestClient(demo, base_url=HERE) as in_demo,
        TestClient(earnest, base_url=HERE) as in_earnest,
        ThreadPoolExecutor(2) as threads,
    ):
        both = list(threads.map(statuses, (in_demo, in_earnest)))
        description = in_demo.get("/openapi.json").json()

        assert both == [[200] * 8, [401] * 8]
        assert in_earnest.get("/openapi.json").json() == description
    with TestClient(demo, base_url=HERE) as again:  # one that has ended leaves nothing behind for the next
        assert again.get("/console/networks").status_code == 200
