"""Schemathesis over the whole interface: whatever is asked, nothing fails on our side, and answers are as described.

In process, with few examples and always the same ones. It asks as the league, so that requests come past the scopes.
"""

from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from litestar.testing import TestClient
from schemathesis.checks import not_a_server_error  # pyright: ignore[reportPrivateImportUsage]
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hansa import trust
from hansa.apps.web.app import _application
from hansa.apps.web.description import description_of
from hansa.apps.web.interface import every_scope
from hansa.apps.web.versions import NEWEST
from hansa.store import Context
from web.little_league import LittleLeague

EXAMPLES = 6
"""Requests of each operation."""

LEFT_OUT = ("/v1/ledger/changes", "/v1/sandbox")
"""A stream without an end; and what only a sandbox answers."""

CHECKS: list[Any] = [
    not_a_server_error,
    content_type_conformance,
    status_code_conformance,
    response_schema_conformance,
]

BOUNDED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def _told(error: BaseException) -> str:
    """The first failure in it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split())[:400]


@pytest.mark.slow
@pytest.mark.limit(900)
def test_whatever_is_asked_is_answered_as_described(
    ctx: Context, stranger: TestClient[Any], league: LittleLeague
) -> None:
    description = msgspec.json.decode(msgspec.json.encode(description_of(_application(None))))
    with ctx.tx() as tx:
        key = trust.create_api_key(tx, "league", every_scope(), at=ctx.clock.now())
    headers = {
        "authorization": f"Bearer {key}",
        "accept-language": "en",
        "hansa-version": str(NEWEST),  # the one that is described
    }
    found: dict[str, str] = {}
    asked: dict[str, int] = {}
    schema: Any = schemathesis.openapi.from_dict(description)

    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.startswith(LEFT_OUT):
            continue

        def ask(case: Any) -> None:
            told = case.as_transport_kwargs(base_url="http://hansa.example")
            sent = {
                key: told[key] for key in ("json", "content", "data", "files") if told.get(key) is not None
            }
            answer = stranger.request(
                case.method,
                told["url"],
                params=told.get("params"),
                headers={name.lower(): text for name, text in dict(told.get("headers") or {}).items()}
                | headers,
                **sent,
            )
            operation = f"{case.method} {case.operation.path}"
            asked[operation] = asked.get(operation, 0) + 1
            try:
                case.validate_response(answer, checks=CHECKS)
            except (Exception, BaseExceptionGroup) as error:
                found.setdefault(operation, f"{answer.status_code} {answer.text[:160]} | {_told(error)}")

        BOUNDED(given(case=operation.as_strategy())(ask))()

    assert len(asked) > 150 and sum(asked.values()) > 600
    assert found == {}, "\n\n".join(f"{name}: {words}" for name, words in found.items())
