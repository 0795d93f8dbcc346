"""What must be true of the books after a torture, however it went."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from parts import batches_of, log_of, read_story

from hansa import ledger
from hansa.kernel import fact_id
from hansa.ledger import Booked, Place, Transfer, TransferFlag, TransferId, store
from hansa.store import Context, Tx
from simulator.naive import CREATED, NaiveBooks, as_it_must_be_booked
from simulator.traffic import accounts

OK = ("created", "exists")


@dataclass
class Finds:
    """What was proven, by name, and what was found to be false."""

    proven: dict[str, str] = field(default_factory=dict[str, str])
    failed: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    figures: str = ""

    def fail(self, name: str, fault: str) -> None:
        self.failed.setdefault(name, []).append(fault)

    def count(self, name: str, how_many: int) -> None:
        """Say how many it was true of; counts add up."""
        self.proven[name] = f"{int((self.proven.get(name) or '0').replace(',', '')) + how_many:,}"

    def holds(self, name: str, holds: bool, fault: str) -> None:
        self.proven.setdefault(name, "")
        if not holds:
            self.fail(name, fault)


@dataclass
class Told:
    """One body of a transfer, and what its teller was told of it: how often "created", and the last answer."""

    transfer: Transfer
    created: int = 0
    was_ok: bool = False
    last: str = ""


def check_books(ctx: Context, home: Path, seed: int, tellers: int) -> Finds:
    """Look into the books with the tellers' logs in hand."""
    finds = Finds()
    told = _what_was_told(home, seed, tellers)
    with ctx.tx() as tx:
        journal = list(journal_of(tx))
        _check_told(finds, told, journal)
        naive = walk(finds, journal)
        _check_proofs(finds, tx, naive)
    _check_rebuilt(finds, ctx)
    faults = (home / "faults.log").read_text().splitlines() if (home / "faults.log").exists() else []
    finds.proven["nobody saw an error that is none of ours"] = ""
    for fault in faults:
        finds.fail("nobody saw an error that is none of ours", fault)
    answers = sum(len(read_story(log_of(home, number)).answers) for number in range(tellers))
    finds.figures = (
        f"answers {answers:,}, acknowledged {sum(one.was_ok for one in told.values()):,} transfers,"
        f" refused {sum(not one.was_ok for one in told.values()):,}, in the books {len(journal):,}"
    )
    return finds


Key = tuple[TransferId, str]


def _key(transfer: Transfer) -> Key:
    return transfer.transfer_id, repr(transfer)


def _what_was_told(home: Path, seed: int, tellers: int) -> dict[Key, Told]:
    told: dict[Key, Told] = {}
    for number in range(tellers):
        answers = iter(read_story(log_of(home, number)).answers)
        answer = next(answers, None)
        for count, batch in batches_of(seed, number):
            if answer is None:
                break
            while answer is not None and answer[0] == count:
                for transfer, code in zip(batch, answer[1], strict=True):
                    one = told.setdefault(_key(transfer), Told(transfer))
                    one.created += code == CREATED
                    one.was_ok |= code in OK
                    one.last = code
                answer = next(answers, None)
    return told


def journal_of(tx: Tx) -> Iterator[Booked]:
    """All transfers of partition 0 in order."""
    after, last = Place(0, -1), ledger.block_head(tx)[0]
    while page := store.list_booked(tx, 0, after=after, to_block=last, limit=10_000):
        yield from page
        after = page[-1].place


def _check_told(finds: Finds, told: dict[Key, Told], journal: list[Booked]) -> None:
    booked = {one.transfer.transfer_id: one for one in journal}
    finds.holds("every transfer stands once", len(booked) == len(journal), "an id stands twice")
    finds.proven["every transfer stands once"] = f"{len(journal):,} in the journal"
    sent_ids = {transfer_id for transfer_id, _ in told}
    acknowledged = refused = 0
    for (transfer_id, _), one in told.items():
        there = booked.get(transfer_id)
        finds.holds(
            "created is told once", one.created <= 1, f"{transfer_id} was created {one.created} times"
        )
        if one.was_ok:
            acknowledged += 1
            finds.holds(
                "all that was acknowledged is there",
                there is not None and _is_that(one.transfer, there),
                f"{one.transfer} was acknowledged; there stands {there}",
            )
            # The last of a chain may stand alone elsewhere; when that chain fails, it is told so.
            stays = one.last in OK or (one.last == "linked_event_failed" and not _is_linked(one.transfer))
            finds.holds("what was acknowledged stays so", stays, f"{one.transfer} is now {one.last}")
        else:
            refused += 1
            finds.holds(
                "nothing that was refused is there",
                there is None or not _is_that(one.transfer, there),
                f"{one.transfer} was refused as {one.last}, and stands in block {there and there.place}",
            )
    finds.proven["all that was acknowledged is there"] = f"{acknowledged:,}"
    finds.proven["nothing that was refused is there"] = f"{refused:,}"
    for transfer_id, there in booked.items():
        is_ours = bool(there.transfer.flags & TransferFlag.EXPIRED)
        finds.holds(
            "nothing is there that nobody sent", is_ours or transfer_id in sent_ids, f"{there.transfer}"
        )


def _is_linked(transfer: Transfer) -> bool:
    return bool(transfer.flags & TransferFlag.LINKED)


def _is_that(sent: Transfer, there: Booked) -> bool:
    """Whether the body that stands there is the one that was sent; ``walk`` looks at what the ledger adds to it."""
    kept = there.transfer
    return (
        kept.flags == sent.flags
        and kept.event_at == sent.event_at
        and kept.pending_id == sent.pending_id
        and (sent.memo in (kept.memo, "") if sent.pending_id else sent.memo == kept.memo)
        and (kept.amount == sent.amount or bool(sent.flags & ~(TransferFlag.PENDING | TransferFlag.LINKED)))
    )


def walk(finds: Finds, journal: list[Booked], naive: NaiveBooks | None = None) -> NaiveBooks:
    """Book the journal again by the naive ledger, which refuses what no ledger should have booked."""
    naive = naive or NaiveBooks()
    naive.open(accounts())
    chain: list[Booked] = []
    previous: Booked | None = None
    for one in journal:
        transfer = one.transfer
        expires = bool(transfer.flags & TransferFlag.EXPIRED)
        code = naive.one(transfer, one.booked_at, expiring=expires)
        finds.holds("each could be booked when it was", code == CREATED, f"{code}: {one}")
        if code == CREATED:
            must = as_it_must_be_booked(naive, transfer.transfer_id)
            finds.holds("each stands as it must", must == transfer, f"{transfer} instead of {must}")
            for account_id, after in ((transfer.debit, one.debit_after), (transfer.credit, one.credit_after)):
                account = naive.accounts[account_id]
                finds.holds("limits hold after each", account.holds_its_limit(), f"{account} after {one}")
                finds.holds("sums after each are right", account.balance == after, f"{after}: {account}")
        if expires:
            assert transfer.pending_id is not None
            ends_at = naive.holds[transfer.pending_id].ends_at
            ours = fact_id(ends_at, "ledger.expired", 0, transfer.pending_id)
            finds.holds("holds fall away in time", bool(ends_at and ends_at <= one.booked_at), f"{one}")
            finds.holds("holds fall away in time", transfer.transfer_id == ours, f"{one}")
        if chain and chain[-1].place.block != one.place.block:
            finds.fail("chains are whole", f"{chain[-1]} is linked to nothing")
        chain = [*chain, one] if transfer.flags & TransferFlag.LINKED else []
        if previous is not None:
            in_order = previous.place < one.place and previous.booked_at <= one.booked_at
            finds.holds("blocks are in the order of time", in_order, f"{previous} before {one}")
        previous = one
    finds.holds("chains are whole", not chain, f"{chain} is linked to nothing")
    return naive


def _check_proofs(finds: Finds, tx: Tx, naive: NaiveBooks) -> None:
    stands = ledger.balances(tx, naive.accounts)
    for account_id, balance in naive.balances().items():
        finds.holds(
            "balances are the naive ledger's",
            stands[account_id] == balance,
            f"{stands[account_id]}: {balance}",
        )
    even = ledger.trial_balance(tx)
    finds.holds("the trial balance is even", even.is_even, f"{even.totals}")
    findings = ledger.verify(tx)
    finds.holds("the ledger's own proof finds nothing", not findings, f"{[str(one) for one in findings]}")
    head = ledger.list_heads(tx)[0]
    finds.proven["the ledger's own proof finds nothing"] = (
        f"{head.number:,} blocks, of which {head.number - head.folded:,} not folded"
    )


def _check_rebuilt(finds: Finds, ctx: Context) -> None:
    derived = (
        "select account_id, flags, debits_pending, debits_posted, credits_pending, credits_posted"
        " from ledger.accounts order by account_id",
        "select transfer_id, expires_at, state, resolved_by from ledger.holds order by transfer_id",
        "select account_id, place from ledger.account_places order by account_id, place",
    )
    with ctx.tx() as tx:
        balances = ledger.balances(tx, [account.account_id for account in accounts()])
    ledger.rebuild(ctx, 0)
    with ctx.tx() as tx:
        finds.holds(
            "made again from the journal it is the same",
            ledger.balances(tx, balances) == balances and ledger.verify(tx) == [],
            "other balances",
        )
        first = [tx.execute(statement.encode()).fetchall() for statement in derived]
    ledger.rebuild(ctx, 0)
    with ctx.tx() as tx:
        again = [tx.execute(statement.encode()).fetchall() for statement in derived]
    finds.holds("made again from the journal it is the same", first == again, "other rows")
