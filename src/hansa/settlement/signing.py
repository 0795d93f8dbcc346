"""Signatures under messages: detached Ed25519 over a file, and RFC 9421 over an HTTP request or answer. Pure.

A file's signature stands beside it as 64 raw bytes in base64. Over HTTP the method, the target and the digest of the
body are signed (RFC 9421 with ``ed25519``; RFC 9530 for ``Content-Digest``), so that neither can be exchanged.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hansa.kernel import HansaError

OLDEST = timedelta(minutes=5)
"""How far a signature's instant may lie from ours. A request sent again later is signed anew."""

_LABEL = "hansa"
_INPUT = re.compile(r"([a-z*][a-z0-9_.*-]*)=(\(([^()]*)\)(;[^,]*)?)$")


class BadSignature(HansaError):
    """The signature is not there, is not that of the sender's key, or is over something else. Nothing was taken."""

    code: ClassVar[str] = "settlement.bad_signature"
    status: ClassVar[int] = 401


def sign_file(key: Ed25519PrivateKey, document: bytes) -> bytes:
    """The detached signature of a file, as the text that stands beside it."""
    return base64.b64encode(key.sign(document)) + b"\n"


def verify_file(key: Ed25519PublicKey, document: bytes, signature: bytes) -> None:
    """Errors: BadSignature."""
    try:
        key.verify(base64.b64decode(signature.strip(), validate=True), document)
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise BadSignature("The file's signature is not that of the key we know of its sender.") from error


def content_digest(body: bytes) -> str:
    """The ``Content-Digest`` of a body. Source: RFC 9530 section 2."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def signature_base(fields: Mapping[str, str], covered: Sequence[str], parameters: str) -> bytes:
    """What is signed: each covered component on a line, then the parameters. Source: RFC 9421 section 2.5.

    covered: names as they stand in the signature's input, each with its flags, such as ``"@method";req``.
    """
    lines = [f"{name}: {fields[name]}" for name in covered]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def sign_request(
    key: Ed25519PrivateKey, key_id: str, *, method: str, target: str, body: bytes, at: datetime
) -> dict[str, str]:
    """The headers that sign a request. target: its whole URI."""
    digest = content_digest(body)
    fields = {'"@method"': method, '"@target-uri"': target, '"content-digest"': digest}
    return {"Content-Digest": digest, **_signed(key, key_id, fields, tuple(fields), at)}


def verify_request(
    key: Ed25519PublicKey,
    headers: Mapping[str, str],
    *,
    method: str,
    target: str,
    body: bytes,
    now: datetime,
) -> None:
    """That this key signed this request, lately. headers: by their names in small letters. Errors: BadSignature."""
    fields = {'"@method"': method, '"@target-uri"': target, '"content-digest"': content_digest(body)}
    _verify(key, headers, fields, body, now)


def sign_answer(
    key: Ed25519PrivateKey, key_id: str, *, status: int, body: bytes, request: Mapping[str, str], at: datetime
) -> dict[str, str]:
    """The headers that sign an answer, tied to the request. request: its ``method`` and ``target``."""
    digest = content_digest(body)
    fields = _answer_fields(status, digest, request)
    return {"Content-Digest": digest, **_signed(key, key_id, fields, tuple(fields), at)}


def verify_answer(
    key: Ed25519PublicKey,
    headers: Mapping[str, str],
    *,
    status: int,
    body: bytes,
    request: Mapping[str, str],
    now: datetime,
) -> None:
    """That this key signed this answer to this request. Errors: BadSignature."""
    _verify(key, headers, _answer_fields(status, content_digest(body), request), body, now)


def _answer_fields(status: int, digest: str, request: Mapping[str, str]) -> dict[str, str]:
    return {
        '"@status"': str(status),
        '"content-digest"': digest,
        '"@method";req': request["method"],
        '"@target-uri";req': request["target"],
    }


def _signed(
    key: Ed25519PrivateKey, key_id: str, fields: Mapping[str, str], covered: Sequence[str], at: datetime
) -> dict[str, str]:
    parameters = f'({" ".join(covered)});created={int(at.timestamp())};keyid="{key_id}";alg="ed25519"'
    signature = base64.b64encode(key.sign(signature_base(fields, covered, parameters))).decode()
    return {"Signature-Input": f"{_LABEL}={parameters}", "Signature": f"{_LABEL}=:{signature}:"}


def _verify(
    key: Ed25519PublicKey, headers: Mapping[str, str], fields: Mapping[str, str], body: bytes, now: datetime
) -> None:
    if headers.get("content-digest", "") != content_digest(body):
        raise BadSignature("The Content-Digest is not that of the body.")
    found = _INPUT.match(headers.get("signature-input", ""))
    if found is None:
        raise BadSignature("There is no Signature-Input of one signature.")
    label, parameters, covered = found[1], found[2], tuple(found[3].split())
    if missing := [name for name in fields if name not in covered]:
        raise BadSignature(f"The signature does not cover {', '.join(missing)}.")
    if unknown := [name for name in covered if name not in fields]:
        raise BadSignature(f"The signature covers {', '.join(unknown)}, which is not looked at here.")
    created = re.search(r";created=(\d{1,12})(;|$)", parameters)
    if created is None or abs(now.timestamp() - int(created[1])) > OLDEST.total_seconds():
        raise BadSignature(f"The signature was not made within {OLDEST} of now.")
    prefix = f"{label}=:"
    given = headers.get("signature", "")
    try:
        if not given.startswith(prefix) or not given.endswith(":"):
            raise ValueError(given)
        raw = base64.b64decode(given[len(prefix) : -1], validate=True)
        key.verify(raw, signature_base(fields, covered, parameters))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise BadSignature("The signature is not that of the key we know of the sender.") from error
