"""Codes that can be spoilt at any place and signed afterwards, by the right key or by another."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.codes import PREFIX, Scope, base45_encode, cbor_decode, cbor_encode, make_token
from hansa.codes.cose import bstr, sign_es256, to_be_signed
from hansa.codes.ride import code_payload
from hansa.codes.vectors import example_device, example_issuer

Fields = dict[Any, Any]
Signer = Ed25519PrivateKey | EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Message:
    """A COSE_Sign1 as the bytes of its parts, so that each can be written in a way that Hansa never would."""

    protected: bytes
    payload: bytes
    signature: bytes = bytes(64)
    unprotected: bytes = b"\xa0"
    array: bytes = b"\x84"

    @property
    def data(self) -> bytes:
        """The whole message."""
        return (
            self.array + bstr(self.protected) + self.unprotected + bstr(self.payload) + bstr(self.signature)
        )

    def signed(self, signer: Signer) -> "Message":
        """This message signed anew as it stands."""
        message = to_be_signed(self.protected, self.payload)
        if isinstance(signer, Ed25519PrivateKey):
            return replace(self, signature=signer.sign(message))
        return replace(self, signature=sign_es256(signer, message))

    def header(self, changes: Fields) -> "Message":
        """This message with these protected headers as well, or instead, in canonical bytes."""
        return replace(self, protected=cbor_encode(cbor_decode(self.protected) | changes))

    def headerless(self, label: int) -> "Message":
        """This message without a protected header."""
        return replace(self, protected=_without(self.protected, label))

    def body(self, changes: Fields) -> "Message":
        """This message with these fields as well, or instead, in canonical bytes."""
        return replace(self, payload=cbor_encode(cbor_decode(self.payload) | changes))

    def bodiless(self, label: int) -> "Message":
        """This message without a field of its payload."""
        return replace(self, payload=_without(self.payload, label))

    def key(self, changes: Fields) -> "Message":
        """This token with another key of the phone."""
        claims = cbor_decode(self.payload)
        claims[8][1] |= changes
        return replace(self, payload=cbor_encode(claims))


@dataclass(slots=True)
class Phone:
    """A phone: its key, its token, a counter that only grows."""

    key: EllipticCurvePrivateKey
    issuer: Ed25519PrivateKey
    token: Message
    counters: dict[int, int] = field(default_factory=dict[int, int])

    def code(
        self,
        made_at: datetime,
        *,
        counter: int | None = None,
        cell: bytes,
        companion: int = 0,
        challenge: int | None = None,
    ) -> Message:
        """The next code, or the one with this counter."""
        if counter is None:
            counter = self.counters.get(companion, 0) + 1
        self.counters[companion] = counter
        payload = code_payload(
            made_at=made_at, counter=counter, cell=cell, companion=companion, challenge=challenge
        )
        return self.around(self.token, payload)

    def around(self, token: Message | bytes, payload: bytes) -> Message:
        """A code around any token, signed by this phone."""
        token = token if isinstance(token, bytes) else token.data
        return Message(b"\xa2\x01\x26\x0d" + token, payload).signed(self.key)

    def issued(self, token: Message) -> Message:
        """A token as this phone's issuer would sign it."""
        return token.signed(self.issuer)


class Mint:
    """Makes keys, ids and phones from a seed: the same ones each time."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made = 0

    def issuer(self, name: str) -> Ed25519PrivateKey:
        """The issuer's key of this name."""
        return example_issuer(f"kit {self._seed} {name}")

    def kid(self, name: str) -> bytes:
        """The id of that key."""
        return self.some_bytes(f"kid {name}", 4)

    def some_bytes(self, name: str, length: int) -> bytes:
        """Bytes of this name."""
        return sha256(f"kit {self._seed} {name}".encode()).digest()[:length]

    def phone(
        self,
        *,
        expires_at: datetime,
        scope: Scope,
        issuer: str = "one",
        kid: bytes | None = None,
        cti: bytes | None = None,
    ) -> Phone:
        """A phone with a token of this issuer."""
        self._made += 1
        name = f"phone {self._made}"
        key = example_device(f"kit {self._seed} {name}")
        token = make_token(
            self.issuer(issuer),
            kid=kid or self.kid(issuer),
            cti=cti or self.some_bytes(f"cti {name}", 8),
            expires_at=expires_at,
            device_key=key.public_key(),
            scope=scope,
        )
        return Phone(key, self.issuer(issuer), Message(token[2:11], token[14:83], token[85:]))


def text_of(code: Message | bytes) -> str:
    """What the phone would show."""
    return PREFIX + base45_encode(code if isinstance(code, bytes) else code.data)


def _without(data: bytes, label: int) -> bytes:
    fields = cbor_decode(data)
    del fields[label]
    return cbor_encode(fields)
