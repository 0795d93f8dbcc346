"""Signatures of messages: FSPIOP-Signature, a JSON Web Signature beside the body.

Source: Open API for FSP Interoperability, Signature 1.1: RS256, the protected header names method, URI, source,
destination and date; what is signed is the header and the body, each in base64url.
"""

import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hansa.apps.fspiop.errors import Refused

BITS_MIN = 2048


def sign(
    key: RSAPrivateKey, *, method: str, uri: str, source: str, destination: str | None, date: str, body: bytes
) -> str:
    """The value of FSPIOP-Signature for a message."""
    words = {"alg": "RS256", "FSPIOP-URI": uri, "FSPIOP-HTTP-Method": method, "FSPIOP-Source": source}
    if destination is not None:
        words["FSPIOP-Destination"] = destination
    words["Date"] = date
    protected = _b64(msgspec.json.encode(words))
    signature = _b64(key.sign(protected + b"." + _b64(body), PKCS1v15(), SHA256()))
    return msgspec.json.encode(
        {"signature": signature.decode(), "protectedHeader": protected.decode()}
    ).decode()


def verify(
    keys: list[RSAPublicKey], value: str, *, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> None:
    """Go on only with a signature over this very message, by one of these keys. Errors: Refused."""
    try:
        told = msgspec.json.decode(value, type=dict[str, str])
        protected = told["protectedHeader"].encode("ascii")
        signature = _unb64(told["signature"])
        words = msgspec.json.decode(_unb64(told["protectedHeader"]), type=dict[str, str])
    except (msgspec.DecodeError, KeyError, UnicodeEncodeError, ValueError, Base64Error) as error:
        raise Refused(
            "3105", "FSPIOP-Signature holds a signature and a protectedHeader in base64url"
        ) from error
    if words.get("alg") != "RS256":
        raise Refused("3105", "alg must be RS256")
    wanted = {
        "FSPIOP-HTTP-Method": method,
        "FSPIOP-Source": headers.get("fspiop-source"),
        "FSPIOP-Destination": headers.get("fspiop-destination"),
        "Date": headers.get("date"),
    }
    for name, meant in wanted.items():
        if name == "Date" and name not in words:
            continue
        if words.get(name) != meant:
            raise Refused("3105", f"{name} of the protected header is not that of the request")
    if not _is_path(words.get("FSPIOP-URI", ""), path):
        raise Refused("3105", "FSPIOP-URI of the protected header is not that of the request")
    signed = protected + b"." + _b64(body)
    for key in keys:
        try:
            key.verify(signature, signed, PKCS1v15(), SHA256())
        except InvalidSignature:
            continue
        return
    raise Refused("3105", "the signature is not by a key of FSPIOP-Source over this body")


def read_public(pem: str) -> RSAPublicKey:
    """A member's public key. Errors: Refused."""
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise Refused("3101", "key must be a public key in PEM") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < BITS_MIN:
        raise Refused("3101", f"key must be RSA of at least {BITS_MIN} bits")
    return key


def hub_key(folder: Path) -> RSAPrivateKey:
    """The hub's own key, made when first asked for; only its owner may read it."""
    path = folder / "fspiop-rs256.pem"
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = generate_private_key(65_537, 3072).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        # Written whole under another name and then linked: whoever comes second, or dies half way, spoils nothing.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process made the key just now: that one counts
        finally:
            draft.unlink()
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, RSAPrivateKey), path
    return key


def _is_path(uri: str, path: str) -> bool:
    """Whether a URI that was signed is this path, with or without what stands before it."""
    return uri == path or uri.endswith(path)


def _b64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
