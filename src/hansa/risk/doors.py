"""The doors of other rooms that risk reads by and acts through."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from hansa import identity, rides, trust
from hansa.risk.feed import Broken, Mark
from hansa.risk.model import Revoked, Seen, Turned
from hansa.store import Tx

ASKED: dict[identity.Level, int] = {"clear": 0, "step_up": 1, "blocked": 2}
"""How much each standing asks of an account."""

STANDINGS: dict[str, identity.Level] = {"step_up": "step_up", "block": "blocked"}
"""The standing that a rule's word for what it does stands for."""


class LeagueFeed:
    """What the gates of the league sent, through the doors of rides and trust."""

    def taps(self, tx: Tx, after: Mark, limit: int) -> tuple[Sequence[tuple[UUID, Seen]], Mark]:
        """Accepted codes, in the order of their receipt."""
        found, mark = rides.watch_taps(tx, _mark(after), limit)
        return seen(tx, found), msgspec.to_builtins(mark)

    def refused(self, tx: Tx, after: Mark, limit: int) -> tuple[Sequence[tuple[UUID, Turned]], Mark]:
        """Refused codes of known accounts, in the order of their receipt."""
        found, mark = rides.watch_refused_codes(tx, _mark(after), limit)
        return turned(tx, found), msgspec.to_builtins(mark)

    def broken(self, tx: Tx, after: Mark, limit: int) -> tuple[Sequence[Broken], Mark]:
        """Chains that rides found broken."""
        found, mark = rides.watch_chain_breaks(tx, _mark(after), limit)
        return [broken(one) for one in found], msgspec.to_builtins(mark)

    def revoked(self, tx: Tx, ctis: Sequence[bytes]) -> Mapping[str, Revoked]:
        """Tokens on the deny list, by hex id."""
        return {cti.hex(): Revoked(*found) for cti, found in trust.find_revoked(tx, ctis).items()}


class LeagueHands:
    """What may be done to an account, through the doors of rides and identity."""

    def rotate(self, tx: Tx, account_id: UUID, *, at: datetime, reason: str) -> int:
        """End the account's live tokens; gives how many."""
        return rides.end_tokens(tx, account_id=account_id, at=at, reason=reason)

    def raise_standing(
        self, tx: Tx, account_id: UUID, *, level: str, reason: str, at: datetime, case_id: UUID
    ) -> bool:
        """Ask more of the account, unless as much is asked already; what it was given before ends with that."""
        account, wanted = identity.AccountId(account_id), STANDINGS[level]
        if identity.find_account(tx, account) is None:
            return False
        if ASKED[identity.standing_of(tx, account).level] >= ASKED[wanted]:
            return False
        identity.set_standing(tx, account, level=wanted, reason=reason, at=at, case_id=case_id)
        rides.end_tokens(tx, account_id=account_id, at=at, reason=f"standing: {wanted}")
        return True

    def clear_standing(self, tx: Tx, account_id: UUID, *, reason: str, at: datetime, case_id: UUID) -> bool:
        """Take back what this case asked."""
        account = identity.AccountId(account_id)
        if identity.find_account(tx, account) is None:
            return False
        if identity.standing_of(tx, account).case_id != case_id:
            return False
        identity.set_standing(tx, account, level="clear", reason=reason, at=at)
        return True


LEAGUE_FEED = LeagueFeed()
LEAGUE_HANDS = LeagueHands()


def _mark(stored: Mark) -> rides.WatchMark | None:
    """A mark as rides knows it, from the JSON that was kept."""
    return None if stored is None else msgspec.convert(stored, rides.WatchMark)


def seen(tx: Tx, taps: Sequence[rides.WatchedTap]) -> list[tuple[UUID, Seen]]:
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


def broken(one: rides.WatchedBreak) -> Broken:
    """A broken chain as rides tells of it, as risk sees it."""
    return Broken(one.gate_id, one.operator_id, one.sequence, one.at, {"fault": one.fault})


def turned(tx: Tx, codes: Sequence[rides.WatchedRefusal]) -> list[tuple[UUID, Turned]]:
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
