"""Signatures of files and of HTTP messages: those of the standard's example, and none that is over something else."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hansa.settlement import BadSignature
from hansa.settlement.signing import (
    OLDEST,
    sign_answer,
    sign_file,
    sign_request,
    signature_base,
    verify_answer,
    verify_file,
    verify_request,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
TARGET = "http://bank.example/messages/HANSA-1"
ASKED = {"method": "PUT", "target": TARGET}


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_the_standards_example_is_signed_as_it_is_there() -> None:
    """RFC 9421, appendix B.2.6: the request and key of B.1.4, signed with Ed25519."""
    key = load_pem_private_key(
        b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n"
        b"-----END PRIVATE KEY-----\n",
        password=None,
    )
    assert isinstance(key, Ed25519PrivateKey)
    fields = {
        '"date"': "Tue, 20 Apr 2021 02:07:55 GMT",
        '"@method"': "POST",
        '"@path"': "/foo",
        '"@authority"': "example.com",
        '"content-type"': "application/json",
        '"content-length"': "18",
    }
    parameters = f'({" ".join(fields)});created=1618884473;keyid="test-key-ed25519"'

    signature = key.sign(signature_base(fields, tuple(fields), parameters))

    assert base64.b64encode(signature).decode() == (
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    )


def test_a_files_signature_is_that_of_its_sender_over_these_bytes() -> None:
    signature = sign_file(KEY, b"a file")

    verify_file(KEY.public_key(), b"a file", signature)
    for key, document, given in (
        (OTHER, b"a file", signature),
        (KEY, b"a filf", signature),
        (KEY, b"a file", b""),
        (KEY, b"a file", b"not base64 at all"),
    ):
        with pytest.raises(BadSignature):
            verify_file(key.public_key(), document, given)


def test_a_request_is_taken_as_it_was_signed_and_no_other() -> None:
    headers = lower(sign_request(KEY, "league", method="PUT", target=TARGET, body=b"<a/>", at=NOW))

    verify_request(KEY.public_key(), headers, method="PUT", target=TARGET, body=b"<a/>", now=NOW)


# what is changed | how
CHANGES: list[tuple[str, dict[str, object]]] = [
    ("another method", {"method": "DELETE"}),
    ("another place", {"target": TARGET + "1"}),
    ("another body", {"body": b"<b/>"}),
    ("another key", {"key": OTHER}),
    ("too late", {"now": NOW + OLDEST + timedelta(seconds=2)}),
    ("too early", {"now": NOW - OLDEST - timedelta(seconds=2)}),
    ("no signature", {"drop": "signature"}),
    ("no input", {"drop": "signature-input"}),
    ("no digest", {"drop": "content-digest"}),
    ("less covered", {"input": ' "content-digest"'}),
    ("more covered", {"input": ' "date"'}),
]


@pytest.mark.parametrize(("what", "change"), CHANGES)
def test_a_request_that_was_changed_is_refused(what: str, change: dict[str, object]) -> None:
    headers = lower(sign_request(KEY, "league", method="PUT", target=TARGET, body=b"<a/>", at=NOW))
    if "drop" in change:
        del headers[str(change["drop"])]
    if "input" in change:
        name = str(change["input"])
        old = headers["signature-input"]
        headers["signature-input"] = old.replace(name, "") if name in old else old.replace(")", name + ")", 1)
    key = change.get("key", KEY)
    assert isinstance(key, Ed25519PrivateKey)
    body, now = change.get("body", b"<a/>"), change.get("now", NOW)
    assert isinstance(body, bytes) and isinstance(now, datetime)

    with pytest.raises(BadSignature):
        verify_request(
            key.public_key(),
            headers,
            method=str(change.get("method", "PUT")),
            target=str(change.get("target", TARGET)),
            body=body,
            now=now,
        )


def test_an_answer_belongs_to_its_request_and_status() -> None:
    headers = lower(sign_answer(KEY, "bank", status=200, body=b"ok", request=ASKED, at=NOW))

    verify_answer(KEY.public_key(), headers, status=200, body=b"ok", request=ASKED, now=NOW)
    for status, request in ((201, ASKED), (200, {**ASKED, "method": "GET"}), (200, {**ASKED, "target": "x"})):
        with pytest.raises(BadSignature):
            verify_answer(KEY.public_key(), headers, status=status, body=b"ok", request=request, now=NOW)
