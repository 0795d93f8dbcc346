"""Our gate as a program for the conformance kit: ``python -m hansa.gate.verifier``.

It reads questions as JSON lines and answers each with one line; docs/ride-code/conformance.md is the protocol.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa.codes import (
    DenyListRefused,
    DenyUpdate,
    SettingsRefused,
    TrustListRefused,
    read_deny_update,
    read_settings,
    read_trust_list,
    require_next,
)
from hansa.gate.gate import Gate
from hansa.gate.model import OK, DenyList, GateIdentity


class InUse:
    """A deny list (`hansa.gate.Denied`) that updates change where it lies. list_key: whose word it is."""

    def __init__(self, deny_list: DenyList, list_key: bytes | None) -> None:
        self._list, self._list_key = deny_list, list_key

    @property
    def version(self) -> int:
        """The version in use."""
        return self._list.version

    @property
    def issued_at(self) -> datetime | None:
        """When the league last said that this is the list."""
        return self._list.issued_at

    def __contains__(self, cti: object, /) -> bool:
        """Whether the token of this id opens no gate."""
        return cti in self._list

    def take(self, update: DenyUpdate, list_key: bytes) -> None:
        """Take what this key signed, as docs/ride-code/lists.md has it. Errors: DenyListRefused."""
        in_use = self._list if self._list_key == list_key else DenyList(0, frozenset())
        require_next(update, version=in_use.version, issued_at=in_use.issued_at)
        kept = in_use.ctis if update.since else frozenset[bytes]()
        ctis = kept | frozenset(cti for cti, _ in update.tokens())
        issued_at = max(update.issued_at, in_use.issued_at or update.issued_at)
        self._list, self._list_key = DenyList(update.version, ctis, issued_at), list_key


class Verifier:
    """Gates by their names, made and asked as the questions say."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}
        self._roots: dict[str, Ed25519PublicKey] = {}
        self._denied: dict[str, InUse] = {}
        self._settings: dict[str, int] = {}

    def answer(self, question: dict[str, Any]) -> str:
        """``ok``, or the reason of the refusal. Errors: KeyError, ValueError for a question that is none."""
        answer = {
            "gate": self._make_gate,
            "trust_list": self._use_trust_list,
            "deny_list": self._use_deny_list,
            "settings": self._use_settings,
            "show": self._show,
        }[question["do"]]
        try:
            return answer(question)
        except TrustListRefused:
            return "trust_list_refused"
        except DenyListRefused:
            return "deny_list_refused"
        except SettingsRefused:
            return "settings_refused"

    def _make_gate(self, question: dict[str, Any]) -> str:
        name, deny_list = question["gate"], question["deny_list"]
        root = Ed25519PublicKey.from_public_bytes(bytes.fromhex(question["root"]))
        trust_list = read_trust_list(bytes.fromhex(question["trust_list"]), root, now=_now(question))
        identity = GateIdentity(
            gate_id=f"kit/{name}",
            operator_id="kit",
            stop_id=None,
            action=question["action"],
            product=question["product"],
            cell=bytes.fromhex(question["cell"]),
        )
        ctis = frozenset(map(bytes.fromhex, deny_list["ctis"]))
        denied = InUse(DenyList(deny_list["version"], ctis), trust_list.list_key)
        self._settings.pop(name, None)
        self._denied[name] = denied
        self._roots[name], self._gates[name] = root, Gate(identity, trust_list, deny_list=denied)
        return OK

    def _use_trust_list(self, question: dict[str, Any]) -> str:
        gate = self._gates[question["gate"]]
        gate.use_trust_list(
            read_trust_list(
                bytes.fromhex(question["trust_list"]),
                self._roots[question["gate"]],
                now=_now(question),
                newer_than=gate.trust_list.version,
            )
        )
        return OK

    def _use_deny_list(self, question: dict[str, Any]) -> str:
        name = question["gate"]
        key = self._list_key(self._gates[name])
        if key is None:
            return "deny_list_refused"
        update = read_deny_update(bytes.fromhex(question["update"]), key)
        self._denied[name].take(update, key.public_bytes_raw())
        return OK

    def _use_settings(self, question: dict[str, Any]) -> str:
        name = question["gate"]
        key = self._list_key(self._gates[name])
        if key is None:
            return "settings_refused"
        settings = read_settings(
            bytes.fromhex(question["settings"]),
            key,
            device_id=question["device"],
            newer_than=self._settings.get(name),
        )
        self._settings[name] = settings.version
        return OK

    def _list_key(self, gate: Gate) -> Ed25519PublicKey | None:
        key = gate.trust_list.list_key
        return None if key is None else Ed25519PublicKey.from_public_bytes(key)

    def _show(self, question: dict[str, Any]) -> str:
        shown = question["challenge"]
        return (
            self._gates[question["gate"]]
            .decide(
                question["text"],
                _now(question),
                challenge=None if shown is None else int(shown),
                online=question["online"],
            )
            .reason
        )


def answers(lines: Iterable[str]) -> Iterator[str]:
    """The answer to each line of the kit; a line without an id asks nothing."""
    verifier = Verifier()
    for line in lines:
        question = json.loads(line)
        if "id" in question:
            yield json.dumps({"id": question["id"], "reason": verifier.answer(question)})


def _now(question: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(question["now"], UTC)


if __name__ == "__main__":
    for told in answers(sys.stdin):
        print(told, flush=True)
