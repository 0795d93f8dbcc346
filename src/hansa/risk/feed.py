"""Where the watcher reads, and what it may do: the doors of other rooms as risk needs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from hansa.risk.model import Figure, Revoked, Seen, Turned
from hansa.store import Tx

Mark = Any
"""A place in a feed, as its room gives it: whatever JSON holds. None is the beginning."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Facts of one account."""

    account_id: UUID
    taps: tuple[Seen, ...] = ()
    refused: tuple[Turned, ...] = ()


@dataclass(frozen=True, slots=True)
class Broken:
    """A place where a gate's chain of taps does not hold: what its tap says, and what was worked out."""

    gate_id: str
    operator_id: str
    sequence: int
    at: datetime
    figures: Mapping[str, Figure]


class Feed(Protocol):
    """Facts in the order of their receipt, none missed, some perhaps twice."""

    def taps(self, tx: Tx, after: Mark, limit: int) -> tuple[Sequence[tuple[UUID, Seen]], Mark]:
        """Accepted codes after the mark, each with its account, and the mark to go on from."""
        ...

    def refused(self, tx: Tx, after: Mark, limit: int) -> tuple[Sequence[tuple[UUID, Turned]], Mark]:
        """Refused codes of known accounts after the mark, and the mark to go on from."""
        ...

    def broken(self, tx: Tx, after: Mark, limit: int) -> tuple[Sequence[Broken], Mark]:
        """Chains found broken after the mark, and the mark to go on from."""
        ...

    def revoked(self, tx: Tx, ctis: Sequence[bytes]) -> Mapping[str, Revoked]:
        """Those of these tokens that are on the deny list, by hex id."""
        ...


class Hands(Protocol):
    """What risk may do to an account, in the transaction that opens the case."""

    def rotate(self, tx: Tx, account_id: UUID, *, at: datetime, reason: str) -> int | None:
        """End the account's live tokens, so that its phones fetch new ones; gives how many, None if nobody can."""
        ...

    def raise_standing(
        self, tx: Tx, account_id: UUID, *, level: str, reason: str, at: datetime, case_id: UUID
    ) -> bool | None:
        """Ask more of the account from now on; False when as much is asked already, None if nobody can ask."""
        ...

    def clear_standing(self, tx: Tx, account_id: UUID, *, reason: str, at: datetime, case_id: UUID) -> bool:
        """Take back what this case asked of the account; False when another case asks it now."""
        ...
