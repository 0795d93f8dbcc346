"""What is remembered of an account: its facts of some days, without doubles, bounded, as bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from hansa.risk.model import Seen, Turned

KEPT = timedelta(hours=72)
"""How long before its newest fact an account's memory reaches: a token's day, and two days that a gate may be late."""

FACTS_MAX = 400
"""Facts of a kind in one memory, the newest ones."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Facts of one account in order of time."""

    taps: tuple[Seen, ...] = ()
    refused: tuple[Turned, ...] = ()

    def with_facts(self, taps: Iterable[Seen], refused: Iterable[Turned]) -> "Memory":
        """This memory with these facts too; those that it has already change nothing."""
        known = {tap.tap_id: tap for tap in self.taps}
        for tap in taps:
            known.setdefault(tap.tap_id, tap)
        turned = {one.key: one for one in self.refused}
        for one in refused:
            turned.setdefault(one.key, one)
        if len(known) == len(self.taps) and len(turned) == len(self.refused):
            return self
        newest = max(
            max((tap.at for tap in known.values()), default=None) or _OLD,
            max((one.at for one in turned.values()), default=None) or _OLD,
        )
        since = newest - KEPT
        kept = sorted(
            (tap for tap in known.values() if tap.at >= since), key=lambda tap: (tap.at, tap.tap_id)
        )
        tries = sorted((one for one in turned.values() if one.at >= since), key=lambda one: one.key)
        return Memory(tuple(kept[-FACTS_MAX:]), tuple(tries[-FACTS_MAX:]))

    def encoded(self) -> bytes:
        """As it is stored."""
        return _ENCODER.encode(self)

    @staticmethod
    def decoded(stored: bytes) -> "Memory":
        """From how it was stored."""
        return _DECODER.decode(stored)


_OLD = datetime(2000, 1, 1, tzinfo=UTC)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Memory)
