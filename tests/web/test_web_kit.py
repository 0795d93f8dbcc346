"""The conformance kit over HTTP: one file, named by its digest."""

from hashlib import sha256
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa.gate import conformance

Client = TestClient[Any]
ADDRESS = "/v1/ride-code/kit"


def test_a_vendor_takes_the_kit_and_can_read_it(stranger: Client) -> None:
    answer = stranger.get(ADDRESS)

    assert answer.status_code == 200
    assert answer.text.splitlines() == list(conformance.kit_lines())
    assert len(conformance.read_kit(answer.text.splitlines())) > 6000
    digest = sha256(answer.content).hexdigest()
    assert answer.headers["content-location"] == f"{ADDRESS}/{digest}"
    assert answer.headers["etag"] == f'W/"{digest}"'
    assert answer.headers["content-encoding"] == "gzip"


def test_the_address_with_the_digest_never_changes(stranger: Client) -> None:
    today = stranger.get(ADDRESS)
    pinned = stranger.get(today.headers["content-location"])

    assert pinned.content == today.content
    assert today.headers["cache-control"] == "public, no-cache"
    assert pinned.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("same", ["{etag}", "{strong}", '"other", {etag}', "*"])
def test_whoever_has_the_kit_is_not_sent_it_again(stranger: Client, same: str) -> None:
    etag = stranger.get(ADDRESS).headers["etag"]
    told = same.format(etag=etag, strong=etag.removeprefix("W/"))

    answer = stranger.get(ADDRESS, headers={"if-none-match": told})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)


def test_another_digest_is_no_kit(stranger: Client) -> None:
    answer = stranger.get(f"{ADDRESS}/{'0' * 64}")

    assert answer.status_code == 404
    assert answer.json()["code"] == "web.no_such_kit"
    assert "immutable" not in answer.headers.get("cache-control", "")


@pytest.mark.parametrize("takes", ["identity", "gzip;q=0", "br, gzip; q=0.0", ""])
def test_it_is_packed_only_for_those_who_take_it_packed(stranger: Client, takes: str) -> None:
    answer = stranger.get(ADDRESS, headers={"accept-encoding": takes})

    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "accept-encoding"
    assert int(answer.headers["content-length"]) == len(answer.content) > 3_000_000
