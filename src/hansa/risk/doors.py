"""The doors that risk reads by and acts through, where the other rooms have them.

A room that does not give a door yet has nothing to tell and does nothing; then no case says that something was done.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from hansa import identity, rides, trust
from hansa.risk.feed import Broken, Mark
from hansa.risk.model import Revoked, Seen, Turned
from hansa.store import Tx

LEVELS = {"clear": 0, "step_up": 1, "block": 2}
"""How much is asked of an account, by what a rule does."""

STANDINGS = {"step_up": "step_up", "block": "blocked"}
"""Identity's own word for it."""


def _door(room: object, name: str) -> Callable[..., Any] | None:
    return cast("Callable[..., Any] | None", getattr(room, name, None))


class LeagueFeed:
    """What the gates of the league sent, through the doors of rides and trust."""

    def taps(self, tx: Tx, after: Mark, limit: int) -> tuple[Sequence[tuple[UUID, Seen]], Mark]:
        """Accepted codes, in the order of their receipt."""
        watch = _door(rides, "watch_taps")
        if watch is None:
            return (), after
        found, mark = watch(tx, _mark(after, "WatchMark"), limit)
        return seen(tx, found), msgspec.to_builtins(mark)

    def refused(self, tx: Tx, after: Mark, limit: int) -> tuple[Sequence[tuple[UUID, Turned]], Mark]:
        """Refused codes of known accounts, in the order of their receipt."""
        watch = _door(rides, "watch_refused_codes")
        if watch is None:
            return (), after
        found, mark = watch(tx, _mark(after, "WatchMark"), limit)
        return turned(tx, found), msgspec.to_builtins(mark)

    def broken(self, tx: Tx, after: Mark, limit: int) -> tuple[Sequence[Broken], Mark]:
        """Chains that rides found broken."""
        watch = _door(rides, "watch_chain_breaks")
        if watch is None:
            return (), after
        found, mark = watch(tx, _mark(after, "WatchMark"), limit)
        return [broken(one) for one in found], msgspec.to_builtins(mark)

    def revoked(self, tx: Tx, ctis: Sequence[bytes]) -> Mapping[str, Revoked]:
        """Tokens on the deny list, by hex id."""
        return {cti.hex(): Revoked(*found) for cti, found in trust.find_revoked(tx, ctis).items()}


class LeagueHands:
    """What may be done to an account, through the doors of rides and identity."""

    def rotate(self, tx: Tx, account_id: UUID, *, at: datetime, reason: str) -> int | None:
        """End the account's live tokens; gives how many."""
        end = _door(rides, "end_tokens")
        return None if end is None else int(end(tx, account_id=account_id, at=at, reason=reason))

    def raise_standing(
        self, tx: Tx, account_id: UUID, *, level: str, reason: str, at: datetime, case_id: UUID
    ) -> bool | None:
        """Ask more of the account, unless as much is asked already."""
        standing, put = _door(identity, "standing_of"), _door(identity, "set_standing")
        if standing is None or put is None:
            return None
        account = identity.AccountId(account_id)
        if identity.find_account(tx, account) is None:
            return False
        now = {"clear": 0, "step_up": 1, "blocked": 2}[str(standing(tx, account).level)]
        if now >= LEVELS[level]:
            return False
        put(tx, account, level=STANDINGS[level], reason=reason, at=at, case_id=case_id)
        end = _door(rides, "end_tokens")
        if end is not None:  # what was given to a trusted account does not outlive the trust
            end(tx, account_id=account_id, at=at, reason=f"standing: {STANDINGS[level]}")
        return True

    def clear_standing(self, tx: Tx, account_id: UUID, *, reason: str, at: datetime, case_id: UUID) -> bool:
        """Take back what this case asked."""
        standing, put = _door(identity, "standing_of"), _door(identity, "set_standing")
        account = identity.AccountId(account_id)
        if standing is None or put is None or identity.find_account(tx, account) is None:
            return False
        if standing(tx, account).case_id != case_id:
            return False
        put(tx, account, level="clear", reason=reason, at=at)
        return True


LEAGUE_FEED = LeagueFeed()
LEAGUE_HANDS = LeagueHands()


def _mark(stored: Mark, name: str) -> object:
    """A mark as its room knows it, from the JSON that was kept."""
    kind = getattr(rides, name, None)
    return stored if stored is None or kind is None else msgspec.convert(stored, kind)


def seen(tx: Tx, taps: Sequence[Any]) -> list[tuple[UUID, Seen]]:
    """Taps as rides tells of them, as risk sees them."""
    gates = trust.find_gates(tx, {tap.gate_id for tap in taps})
    return [
        (
            tap.account_id,
            Seen(
                tap_id=tap.tap_id,
                gate_id=tap.gate_id,
                operator_id=tap.operator_id,
                city_id=gates[tap.gate_id].city_id if tap.gate_id in gates else "",
                station=gates[tap.gate_id].stop_id or tap.gate_id if tap.gate_id in gates else tap.gate_id,
                action=tap.action,
                at=tap.tapped_at,
                kid=tap.kid.hex(),
                cti=tap.cti.hex(),
                companion=tap.companion,
                counter=tap.counter,
                made_at=tap.made_at,
                list_version=tap.list_version,
                received_at=tap.received_at,
            ),
        )
        for tap in taps
    ]


def broken(one: Any) -> Broken:
    """A broken chain as rides tells of it, as risk sees it."""
    return Broken(one.gate_id, one.operator_id, one.sequence, one.at, {"fault": one.fault})


def turned(tx: Tx, codes: Sequence[Any]) -> list[tuple[UUID, Turned]]:
    """Refused codes as rides tells of them, as risk sees them; only those of accounts that are known."""
    gates = trust.find_gates(tx, {code.gate_id for code in codes})
    return [
        (
            code.account_id,
            Turned(
                gate_id=code.gate_id,
                operator_id=gates[code.gate_id].operator_id,
                city_id=gates[code.gate_id].city_id,
                station=gates[code.gate_id].stop_id or code.gate_id,
                at=code.at,
                reason=code.reason,
                kid=code.kid.hex(),
                cti=code.cti.hex(),
                companion=code.companion,
                counter=code.counter,
                made_at=code.made_at,
            ),
        )
        for code in codes
        if code.account_id is not None and code.gate_id in gates
    ]
