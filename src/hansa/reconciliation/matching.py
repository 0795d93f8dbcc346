"""What can be done with a member's own file: read it against ours, look at what is left, match by hand, undo.

A file is read, matched and kept in one transaction, or nothing of it is. What is matched by hand, or undone, one person
proposes with a reason and another decides; each is a fact of its own and none is rewritten.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Literal
from uuid import UUID

from hansa import clearing, ledger, trust
from hansa.kernel import HansaError, InvalidInput, Problem, fact_id
from hansa.reconciliation import matching_store as store
from hansa.reconciliation.files import BadFile, FileRow, read_rows
from hansa.reconciliation.matching_store import Match, MemberFile, Proposal, Side
from hansa.reconciliation.profiles import BY_HAND, FileProfile, read_profile
from hansa.reconciliation.proof import uuids
from hansa.reconciliation.rules import Found, Row, match
from hansa.reconciliation.suggestions import Suggestion, suggest
from hansa.reports.items import Items, PositionFinder, Taken, items_in
from hansa.reports.model import PositionKey
from hansa.reports.statements import key_of
from hansa.store import Context, Tx

LEFT_MAX = 200_000
"""Rows of a side that rules by amounts look at; where more are left, ids are wrong and amounts cannot mend it."""

DAYS_MAX = 31
WHY_MAX = 500
ROWS_BY_HAND_MAX = 100

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_PROGRAM = "hansa"

OurRow = tuple[UUID, Side, int, str, int, str, datetime, UUID | None, str]


class UnknownFile(HansaError):
    """There is no such file of a member."""

    code: ClassVar[str] = "reconciliation.unknown_file"
    status: ClassVar[int] = 404


class NoProfile(HansaError):
    """There is no profile for this member's files. Set one first."""

    code: ClassVar[str] = "reconciliation.no_profile"
    status: ClassVar[int] = 404


class NotClosed(HansaError):
    """Not all of these business days are closed; compare them once they are."""

    code: ClassVar[str] = "reconciliation.not_closed"
    status: ClassVar[int] = 409


class RowsTaken(HansaError):
    """A row of these is in a match that stands, or is not there. Nothing was matched; look at the queue again."""

    code: ClassVar[str] = "reconciliation.rows_taken"
    status: ClassVar[int] = 409


class UnknownMatch(HansaError):
    """There is no such match, or it was undone."""

    code: ClassVar[str] = "reconciliation.unknown_match"
    status: ClassVar[int] = 404


class UnknownProposal(HansaError):
    """Nobody proposed this."""

    code: ClassVar[str] = "reconciliation.unknown_proposal"
    status: ClassVar[int] = 404


class SamePerson(HansaError):
    """Who proposes cannot decide. Let somebody else look at it."""

    code: ClassVar[str] = "reconciliation.same_person"
    status: ClassVar[int] = 409


class Decided(HansaError):
    """Somebody has decided on this already."""

    code: ClassVar[str] = "reconciliation.decided"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Left:
    """What has no partner: of a side, currency and whole days since; minor: what it comes to."""

    side: Side
    currency: str
    days: int
    count: int
    minor: int


@dataclass(frozen=True, slots=True)
class Compared:
    """A file as it stands. rules: (rule, matches that stand, what their differences come to). left: without partner."""

    file: MemberFile
    rules: tuple[tuple[str, int, int], ...]
    left: tuple[Left, ...]

    def left_of(self, side: Side) -> int:
        """How many rows of a side have no partner."""
        return sum(one.count for one in self.left if one.side == side)


def set_profile(tx: Tx, text: str, *, by: str, at: datetime) -> FileProfile:
    """Let a member's files be read so from now on; the same again changes nothing.

    Errors: BadProfile; trust.UnknownMember.
    """
    profile = read_profile(text)
    trust.get_member(tx, trust.MemberId(profile.member_id))
    kept = store.find_profile(tx, profile.member_id)
    if kept is None or kept[1] != text:
        store.add_profile(tx, profile.member_id, text, by=by, at=at)
    return profile


def get_profile(tx: Tx, member_id: str) -> FileProfile:
    """How a member's files are read. Errors: NoProfile."""
    return _profile(tx, member_id)[1]


def read_file(
    ctx: Context, path: Path, member_id: str, first_day: date, last_day: date, *, name: str, by: str
) -> Compared:
    """Hold a member's file against our items of these business days; the same file again gives what it came to.

    Errors: NoProfile, NotClosed, BadFile, InvalidInput for days that do not fit; nothing is kept then.
    """
    if last_day < first_day or last_day - first_day >= timedelta(days=DAYS_MAX):
        problem = Problem("last_day", f"{last_day} does not fit {first_day}", f"Name 1 to {DAYS_MAX} days")
        raise InvalidInput("These are no days to compare.", problems=(problem,))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    file_id = fact_id(None, "reconciliation.file", member_id, first_day, last_day, digest.hex())
    with ctx.tx() as tx:
        version, profile = _profile(tx, member_id)
        if store.list_files(tx, file_id=file_id):
            return compared(tx, file_id, ctx.clock.now())
        windows = _windows(tx, first_day, last_day)
        theirs = store.copy_rows(tx, (_their_row(file_id, one) for one in read_rows(path, profile)))
        doubles = store.double_ids(tx, file_id, 20)
        if doubles:
            column = profile.columns.id
            raise BadFile(
                "The file names ids more than once.",
                problems=tuple(
                    Problem(
                        f"row {last}, {column}",
                        f"{ref!r} stands in row {first} too, {count} times in all",
                        "Give each row an id of its own",
                    )
                    for ref, first, last, count in doubles
                ),
            )
        ours = _copy_ours(tx, file_id, profile, windows)
        now = ctx.clock.now()
        store.add_file(
            tx,
            MemberFile(
                file_id, member_id, first_day, last_day, name[:200], digest, theirs, ours, by, now, False
            ),
            version,
        )
        _match(tx, file_id, profile, now)
        return compared(tx, file_id, now)


def compared(tx: Tx, file_id: UUID, now: datetime) -> Compared:
    """A file as it stands. Errors: UnknownFile."""
    file = get_file(tx, file_id)
    return Compared(
        file, tuple(store.summary(tx, file_id)), tuple(Left(*row) for row in store.left(tx, file_id, now))
    )


def get_file(tx: Tx, file_id: UUID) -> MemberFile:
    """Errors: UnknownFile."""
    found = store.list_files(tx, file_id=file_id)
    if not found:
        raise UnknownFile(f"There is no file {file_id}.")
    return found[0]


def list_files(tx: Tx, *, member_id: str | None = None, limit: int = 100) -> list[MemberFile]:
    """Members' files, latest first."""
    return store.list_files(tx, member_id=member_id, limit=limit)


def list_free(tx: Tx, file_id: UUID, side: Side, *, after: int = 0, limit: int = 100) -> list[Row]:
    """The queue: rows of a side without a partner, in order; after: the key of the last one seen."""
    return store.free_rows(tx, file_id, side, after=after, limit=limit)


def suggestions(tx: Tx, file_id: UUID, rows: Sequence[Row]) -> dict[int, list[Suggestion]]:
    """What each of these rows of theirs may belong to among ours that are free, best first, with the reasons."""
    ours = store.free_rows(tx, file_id, "o", limit=LEFT_MAX)
    return {row.key: suggest(row, ours) for row in rows}


def list_matches(tx: Tx, file_id: UUID, *, apart: bool = False, limit: int = 100) -> list[Match]:
    """Matches of a file. apart: only those whose sums differ, and those by hand."""
    return store.list_matches(tx, file_id, apart=apart, limit=limit)


def list_proposals(tx: Tx, file_id: UUID | None = None) -> list[Proposal]:
    """What waits for a second person."""
    return store.list_proposals(tx, file_id=file_id, is_open=True)


def propose_match(
    ctx: Context,
    proposal_id: UUID,
    file_id: UUID,
    *,
    ours: Sequence[int],
    theirs: Sequence[int],
    why: str,
    by: str,
) -> Proposal:
    """One person says that these rows belong together; a row may also be explained alone. Again is harmless.

    Errors: UnknownFile; RowsTaken; InvalidInput without rows or a reason, or where currencies differ.
    """
    _check_why(why)
    count = len(ours) + len(theirs)
    if not count or count > ROWS_BY_HAND_MAX:
        problem = Problem("rows", f"{count} rows", f"Name 1 to {ROWS_BY_HAND_MAX} rows")
        raise InvalidInput("These rows cannot be matched by hand.", problems=(problem,))
    with ctx.tx() as tx:
        get_file(tx, file_id)
        rows = _rows(tx, file_id, ours, theirs)
        if len({one.currency for one in (*rows[0], *rows[1])}) > 1:
            problem = Problem("rows", "more than one currency", "Match each currency by itself")
            raise InvalidInput("These rows cannot be matched by hand.", problems=(problem,))
        made = Proposal(
            proposal_id,
            file_id,
            "match",
            sorted(set(ours)),
            sorted(set(theirs)),
            None,
            why,
            by,
            ctx.clock.now(),
            "",
            "",
        )
        store.add_proposal(tx, made)
        return _proposal(tx, proposal_id)


def propose_undo(
    ctx: Context, proposal_id: UUID, file_id: UUID, match_no: int, *, why: str, by: str
) -> Proposal:
    """One person says that a match is wrong. Again is harmless. Errors: UnknownFile, UnknownMatch, InvalidInput."""
    _check_why(why)
    with ctx.tx() as tx:
        get_file(tx, file_id)
        _standing(tx, file_id, match_no)
        now = ctx.clock.now()
        store.add_proposal(tx, Proposal(proposal_id, file_id, "undo", [], [], match_no, why, by, now, "", ""))
        return _proposal(tx, proposal_id)


def decide(
    ctx: Context,
    proposal_id: UUID,
    decision: Literal["approved", "refused"],
    *,
    why: str,
    by: str,
) -> Proposal:
    """A second person decides; what is approved is done in the same commit.

    Errors: UnknownProposal; Decided; SamePerson where one approves what is one's own; RowsTaken, UnknownMatch where the
    rows have moved on meanwhile. Nothing is decided then.
    """
    with ctx.tx() as tx:
        one = _proposal(tx, proposal_id)
        store.lock_file(tx, one.file_id)
        if decision == "approved" and one.made_by == by:
            raise SamePerson(f"{by} proposed this.")
        now = ctx.clock.now()
        if not store.add_decision(tx, proposal_id, decision, why=why[:WHY_MAX], by=by, at=now):
            raise Decided("Somebody has decided on this already.")
        if decision == "approved":
            _carry_out(tx, one, by, now)
        return _proposal(tx, proposal_id)


def _carry_out(tx: Tx, one: Proposal, by: str, now: datetime) -> None:
    if one.what == "undo":
        assert one.match_no is not None, "the table sees to it"
        _standing(tx, one.file_id, one.match_no)
        store.add_undone(tx, one.file_id, one.match_no, why=one.why, by=one.made_by, seconded_by=by, at=now)
        return
    ours, theirs = _rows(tx, one.file_id, one.ours, one.theirs)
    difference = sum(row.minor for row in theirs) - sum(row.minor for row in ours)
    found = Found(tuple(one.ours), tuple(one.theirs), difference)
    if not store.add_matches(
        tx, one.file_id, BY_HAND, [found], why=one.why, by=one.made_by, seconded_by=by, at=now
    ):
        raise RowsTaken("A row of these is in a match that stands.")


def _match(tx: Tx, file_id: UUID, profile: FileProfile, now: datetime) -> None:
    """Try a profile's rules in their order."""
    for rule in profile.rules:
        if rule.by == "id":
            store.match_by_id(tx, file_id, rule, by=_PROGRAM, at=now)
            continue
        ours = store.free_rows(tx, file_id, "o", limit=LEFT_MAX + 1)
        theirs = store.free_rows(tx, file_id, "t", limit=LEFT_MAX + 1)
        if max(len(ours), len(theirs)) > LEFT_MAX:
            continue
        found = match(rule, ours, theirs)
        kept = store.add_matches(tx, file_id, rule.name, found, why="", by=_PROGRAM, seconded_by="", at=now)
        assert kept, "rules take rows that are free"


def _profile(tx: Tx, member_id: str) -> tuple[int, FileProfile]:
    kept = store.find_profile(tx, member_id)
    if kept is None:
        raise NoProfile(f"There is no profile for files of {member_id[:60]!r}.")
    return kept[0], read_profile(kept[1])


def _windows(tx: Tx, first_day: date, last_day: date) -> list[clearing.Window]:
    found: list[clearing.Window] = []
    day = first_day
    while day <= last_day:
        windows = clearing.windows_of_day(tx, day)
        if not windows or any(one.closed_at is None for one in windows):
            raise NotClosed(f"{day} is not closed.")
        found += windows
        day += timedelta(days=1)
    return found


def _their_row(file_id: UUID, one: FileRow) -> OurRow:
    return file_id, "t", one.n, one.ref, one.minor, one.currency, one.at, None, ""


def _copy_ours(tx: Tx, file_id: UUID, profile: FileProfile, windows: Sequence[clearing.Window]) -> int:
    """Keep our items of a member, as it sees them, in order of booking, window by window; how many."""
    n = 0
    for window in windows:
        positions = clearing.window_positions(tx, window.window_id)
        sides = [_side(profile, one) for one in positions]
        keys = [key_of(one) for one in positions]
        blocks = clearing.window_blocks(tx, window.window_id)
        for mark in window.watermark:
            finder = PositionFinder(keys, mark.partition)
            taken = Taken(keys, blocks, mark.partition, mark.after_block)
            if taken.after_block is None or not any(sides):
                continue
            for rows in ledger.read_columns(
                tx, after_block=taken.after_block, to_block=mark.up_to_block, partition=mark.partition
            ):
                items = taken(items_in(rows, finder))
                n += store.copy_rows(tx, _our_rows(file_id, profile, keys, sides, items, n))
    return n


def _our_rows(
    file_id: UUID,
    profile: FileProfile,
    keys: Sequence[PositionKey],
    sides: Sequence[tuple[int, ...]],
    items: Items,
    n: int,
) -> Iterator[OurRow]:
    """Items as rows of ours. n: how many there were before."""
    words = [f"{issuer} to {operator}" for issuer, operator, _ in keys]
    transfers, references = uuids(items["transfer_id"]), uuids(items["reference"])
    columns = (items[name].tolist() for name in ("position", "minor", "event_us"))
    for transfer, reference, place, minor, event_us in zip(transfers, references, *columns, strict=True):
        for sign in sides[place]:
            n += 1
            ref = transfer if profile.id_is == "transfer" else reference
            at = _EPOCH + timedelta(microseconds=event_us)
            yield (*(file_id, "o", n, str(ref), sign * minor, keys[place][2], at, transfer, words[place]),)


def _side(profile: FileProfile, one: clearing.Position) -> tuple[int, ...]:
    """As what a member sees a position's items: +1 what it receives, -1 what it owes; both of its own at home."""
    member = profile.member_id
    signs: list[int] = []
    if profile.role != "issuer" and member in (one.operator_id, one.creditor_id):
        signs.append(1)
    if profile.role != "operator" and member in (one.issuer_id, one.debtor_id):
        signs.append(-1)
    return tuple(signs)


def _rows(tx: Tx, file_id: UUID, ours: Sequence[int], theirs: Sequence[int]) -> tuple[list[Row], list[Row]]:
    """These rows, all of which are there and free. Errors: RowsTaken."""
    found: list[list[Row]] = []
    sides: tuple[tuple[Side, Sequence[int]], ...] = (("o", ours), ("t", theirs))
    for side, ns in sides:
        rows = store.rows_among(tx, file_id, side, ns)
        free = {
            one.key
            for n in ns
            for one in store.free_rows(tx, file_id, side, after=n - 1, limit=1)
            if one.key == n
        }
        if len(rows) != len(set(ns)) or free != set(ns):
            raise RowsTaken("A row of these is in a match that stands, or is not there.")
        found.append(rows)
    return found[0], found[1]


def _standing(tx: Tx, file_id: UUID, match_no: int) -> Match:
    found = store.list_matches(tx, file_id, match_no=match_no)
    if not found or found[0].undone:
        raise UnknownMatch(f"There is no match {match_no} that stands.")
    return found[0]


def _proposal(tx: Tx, proposal_id: UUID) -> Proposal:
    found = store.list_proposals(tx, proposal_id=proposal_id)
    if not found:
        raise UnknownProposal(f"Nobody proposed {proposal_id}.")
    return found[0]


def _check_why(why: str) -> None:
    if not why.strip() or len(why) > WHY_MAX:
        problem = Problem("why", "no reason" if not why.strip() else "too long", "Say why, in a sentence")
        raise InvalidInput("What is done by hand needs a reason.", problems=(problem,))
