"""What the questions are made of: gates, lists, phones and codes, all from one seed."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hansa.codes import Scope, TrustedKey, TrustList, deny_update, sign_deny_update, sign_trust_list
from hansa.codes.cose import P256_ORDER
from hansa.gate.conformance.drafts import Message, Mint, Phone, text_of
from hansa.gate.model import OK

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
CELL, NEXT_CELL, FAR_CELL = bytes.fromhex("b8bd2c"), bytes.fromhex("b8cd2b"), bytes.fromhex("b8bd2e")
REVOKED, REVOKED_LATER = b"revoked!", b"revoked2"
SCOPE = Scope("adult", ("metro", "bus"), (), 8)
NO_POINT = (1).to_bytes(32, "big")
"""No point of P-256 has this x."""
LIST_REFUSED = "trust_list_refused"
"""The answer to a trust list that must not be used."""
DENY_REFUSED = "deny_list_refused"
"""The answer to an update of the deny list that must not be used."""
SETTINGS_REFUSED = "settings_refused"
"""The answer to settings that must not be used."""
DENY_VERSION = 3
"""The deny list that a fresh gate holds."""


@dataclass(frozen=True, slots=True)
class Question:
    """One line to the verifier and the reason it must answer. case: its name, ``area/what it is``."""

    case: str
    expect: str
    ask: dict[str, Any]


class Bench:
    """Makes what a question needs."""

    def __init__(self, seed: int) -> None:
        self.mint = Mint(seed)
        self.dice = Random(seed)
        self.root = self.mint.issuer("root")
        self.list_key = self.mint.issuer("lists")
        self.trust_list = self.list_of(7)
        self.kids = {key.issuer_id: key.kid for key in self.trust_list.keys}

    def gate(
        self,
        name: str = "a",
        *,
        product: str = "metro",
        action: str = "entry",
        cell: bytes = CELL,
        trust_list: TrustList | None = None,
        about: str = "",
    ) -> Question:
        """A fresh gate of this name, in the place of an older one."""
        ask = {
            "do": "gate",
            "gate": name,
            "product": product,
            "action": action,
            "cell": cell.hex(),
            "root": self.root.public_key().public_bytes_raw().hex(),
            "trust_list": sign_trust_list(trust_list or self.trust_list, self.root).hex(),
            "deny_list": {"version": DENY_VERSION, "ctis": [REVOKED.hex()]},
            "now": seconds(NOW),
        }
        return Question(about or f"a fresh gate {name}", OK, ask)

    def show(
        self,
        case: str,
        code: Message | bytes | str,
        expect: str,
        *,
        gate: str = "a",
        now: datetime = NOW,
        challenge: str | None = None,
        online: bool = True,
    ) -> Question:
        """A code is shown to a gate."""
        text = code if isinstance(code, str) else text_of(code)
        ask = {
            "do": "show",
            "gate": gate,
            "now": seconds(now),
            "challenge": challenge,
            "online": online,
            "text": text,
        }
        return Question(case, expect, ask)

    def use_list(self, case: str, data: bytes, expect: str, *, now: datetime = NOW) -> Question:
        """Gate a is handed a trust list."""
        return Question(
            case, expect, {"do": "trust_list", "gate": "a", "now": seconds(now), "trust_list": data.hex()}
        )

    def deny(
        self,
        case: str,
        version: int,
        added: list[bytes],
        *,
        since: int,
        issued_at: datetime = NOW,
        expect: str = OK,
    ) -> Question:
        """Gate a is handed an update of its deny list, well signed."""
        update = deny_update(version, since, issued_at, [(cti, NOW + DAY) for cti in added])
        return self.use_update(case, sign_deny_update(update, self.list_key), expect)

    def use_update(self, case: str, data: bytes, expect: str) -> Question:
        """Gate a is handed bytes as an update of its deny list."""
        return Question(case, expect, {"do": "deny_list", "gate": "a", "update": data.hex()})

    def use_settings(self, case: str, data: bytes, expect: str, *, device: str = "kit/a") -> Question:
        """Gate a, the device of this name, is handed settings."""
        ask = {"do": "settings", "gate": "a", "device": device, "settings": data.hex()}
        return Question(case, expect, ask)

    def list_of(self, version: int, **changed: TrustedKey | None) -> TrustList:
        """The kit's trust list with some keys changed, added or left out."""
        keys: dict[str, TrustedKey | None] = {
            "one": self.key("one"),
            "two": self.key("two"),
            "retired": replace(self.key("retired"), status="retired"),
            "compromised": replace(self.key("compromised"), status="compromised"),
            "ended": replace(self.key("ended"), not_after=NOW),
            "early": replace(self.key("early"), not_before=NOW + SECOND),
            "bus": replace(self.key("bus"), products=("bus",)),
        }
        keys |= changed
        listed = tuple(key for key in keys.values() if key is not None)
        list_key = self.list_key.public_key().public_bytes_raw()
        return TrustList(version, NOW - DAY, NOW + 6 * DAY, listed, list_key)

    def key(self, name: str) -> TrustedKey:
        """An issuer's key in good standing."""
        return TrustedKey(
            kid=self.mint.kid(name),
            issuer_id=name,
            public_key=self.mint.issuer(name).public_key().public_bytes_raw(),
            not_before=NOW - 90 * DAY,
            not_after=NOW + 90 * DAY,
            products=("metro", "bus"),
            status="active",
        )

    def phone(
        self, expires_at: datetime = NOW + timedelta(hours=20), scope: Scope = SCOPE, **made: Any
    ) -> Phone:
        """A phone with a token of 20 hours."""
        return self.mint.phone(expires_at=expires_at, scope=scope, **made)

    def code(
        self, phone: Phone | None = None, made_at: datetime = NOW, *, cell: bytes = CELL, **made: Any
    ) -> Message:
        """The next code of this phone, or the first of another."""
        return (phone or self.phone()).code(made_at, cell=cell, **made)

    def forged(self, phone: Phone) -> Phone:
        """This phone with its token signed by nobody the league knows."""
        phone.token = phone.token.signed(self.mint.issuer("nobody"))
        return phone


def twin_of(code: Message) -> Message:
    """The code with the other of the two signatures that verify, which anybody can make."""
    s = int.from_bytes(code.signature[32:], "big")
    return replace(code, signature=code.signature[:32] + (P256_ORDER - s).to_bytes(32, "big"))


def seconds(instant: datetime) -> int:
    """Seconds since 1970."""
    return int(instant.timestamp())
