"""What people's day came to, read from the books, and whether the books agree with it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hansa import approval, clearing, ledger, payments, wallets
from hansa.apps.demo.cast import Cast, account_of
from hansa.apps.demo.spending import Kept
from hansa.kernel import Money, fact_id
from hansa.ledger import AccountCode, TransferCode
from hansa.payments import Payment
from hansa.store import Tx

PAGE = 500
AWAITED = (TransferCode.PURCHASE, TransferCode.PURCHASE_REFUND, TransferCode.SEND)
"""What somebody was given money for before clearing brought it."""

Finding = tuple[str, bool, str]
"""A statement about the books, whether it holds, and a detail."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the closing page tells. states: payments of the day by state; paid, back: minor units by currency.

    sent: transfers between people by state; top_ups, withdrawals: by state; approvals: by how they were given.
    prepaid: what vouchers that nobody used are worth. vouchers: their codes. key: for whoever tries the interface.
    findings: what an auditor would ask of the books.
    """

    states: dict[str, int]
    paid: dict[str, int]
    back: dict[str, int]
    sent: dict[str, int]
    top_ups: dict[str, int]
    withdrawals: dict[str, int]
    approvals: dict[str, int]
    prepaid: Money
    vouchers: list[str]
    key: str
    findings: tuple[Finding, ...]

    def cents(self) -> dict[str, int]:
        """Every figure of people's day, by name."""
        named = {"paid": self.paid, "back": self.back, "payments": self.states, "sent": self.sent}
        named |= {"top-ups": self.top_ups, "withdrawals": self.withdrawals, "approvals": self.approvals}
        figures = {f"people {name} {key}": number for name, of in named.items() for key, number in of.items()}
        return figures | {f"people prepaid {self.prepaid.currency}": self.prepaid.minor}


def read_spent(
    tx: Tx,
    cast: Cast,
    kept: Kept,
    issuers: Sequence[str],
    *,
    until: datetime,
    partition_of: Callable[[UUID], int],
) -> Spent:
    """What was done before ``until``, and how the books stand now."""
    bought = [one for member in issuers for one in _payments(tx, member)]
    of_the_day = [one for one in bought if one.created_at < until]
    sent: Counter[str] = Counter()
    top_ups: Counter[str] = Counter()
    withdrawals: Counter[str] = Counter()
    subjects = [("payment", one.spend_id) for one in of_the_day if one.payer is not None]
    for rider in cast.people:
        account_id = account_of(rider)
        partition = partition_of(account_id)
        for transfer in wallets.transfers.list_sent(tx, account_id, partition=partition, limit=PAGE):
            if transfer.created_at < until:
                sent[transfer.state] += 1
                subjects.append(("transfer", transfer.transfer_id))
        for top_up in wallets.top_ups.list_of(tx, account_id, partition=partition, limit=PAGE):
            top_ups[top_up.state] += top_up.created_at < until
        for withdrawal in wallets.withdrawals.list_of(tx, account_id, partition=partition, limit=PAGE):
            if withdrawal.created_at < until:
                withdrawals[withdrawal.state] += 1
                subjects.append(("withdrawal", withdrawal.withdrawal_id))
    mandates = approval.find_mandates(tx, payer=account_of(cast.keeper_of_passkey))
    subjects += [("mandate", one.mandate_id) for one in mandates]
    approvals, broken = _approvals(tx, subjects)
    batch_id = fact_id(None, "hansa.demo.vouchers", cast.seed, kept.batch)
    batch = wallets.vouchers.get_batch(tx, batch_id, issuer_id=None)
    unused = Money(batch.value_minor * batch.states.get("active", 0), batch.currency)
    held = _standing(tx, AccountCode.MERCHANT)
    owed = Counter(_sums(bought, "captured_minor"))
    owed.subtract(_sums(bought, "refunded_minor"))
    transit = {currency: minor for currency, minor in _standing(tx, AccountCode.TRANSIT).items() if minor}
    prepaid = _standing(tx, AccountCode.PREPAID)
    out = Counter[str]()
    for one in wallets.vouchers.list_batches(tx, issuer_id=None, limit=PAGE):
        out[one.currency] += one.value_minor * one.states.get("active", 0)
    awaits = {currency: -minor for currency, minor in _standing(tx, AccountCode.RECEIVABLE).items() if minor}
    awaited = _awaited(tx, issuers)
    findings = (
        (
            f"What shops have is what {len(bought):,} payments brought them, less what they gave back",
            _same(held, owed),
            "",
        ),
        ("Nothing that people sent is on its way: transit is zero in every currency", not transit, ""),
        (
            f"What issuers owe for vouchers is what {batch.states.get('active', 0)} unused ones are worth",
            _same(prepaid, out),
            str(unused),
        ),
        (
            "What acquirers and issuers await of clearing is what is not settled yet of payments and sends",
            _same(awaits, awaited),
            "" if awaits else "nothing: all of it is settled",
        ),
        (
            f"{sum(approvals.values())} approvals by PIN and passkey, each proved again from its stored bytes",
            not broken and bool(approvals),
            ", ".join(broken),
        ),
    )
    return Spent(
        states=dict(sorted(Counter(str(one.state) for one in of_the_day).items())),
        paid=_sums(of_the_day, "captured_minor"),
        back=_sums(of_the_day, "refunded_minor"),
        sent=dict(sorted(sent.items())),
        top_ups=dict(sorted(top_ups.items())),
        withdrawals=dict(sorted(withdrawals.items())),
        approvals=dict(sorted(approvals.items())),
        prepaid=unused,
        vouchers=kept.for_newcomers,
        key=kept.key,
        findings=findings,
    )


def _payments(tx: Tx, member: str) -> Iterator[Payment]:
    before: tuple[datetime, UUID] | None = None
    while page := payments.list_payments(tx, acquirer_id=member, before=before, limit=PAGE):
        yield from page
        before = (page[-1].created_at, page[-1].payment_id)


def _sums(of: Sequence[Payment], what: str) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for one in of:
        if one.step is not None:
            sums[one.amount.currency] += int(getattr(one.step, what))
    return {currency: minor for currency, minor in sorted(sums.items()) if minor}


def _standing(tx: Tx, code: AccountCode) -> dict[str, int]:
    """What all accounts of a kind stand at, as credit, by currency."""
    rows = [row for row in ledger.trial_balance(tx).rows if row.code == code]
    return {row.currency: row.credits_posted - row.debits_posted for row in rows}


def _awaited(tx: Tx, issuers: Sequence[str]) -> dict[str, int]:
    """What of payments and sends between issuers no window took yet, and what no bank moved of those that did."""
    sums: Counter[str] = Counter()
    for one in clearing.open_amounts(tx, issuers):
        if one.operator_id in issuers:
            sums[one.currency] += one.minor
    for window in clearing.list_windows(tx, limit=10_000):
        open_ones = {total.currency for total in window.totals if total.settled_at is None}
        if open_ones:
            for figure in clearing.window_figures(tx, window.window_id):
                if figure.code in AWAITED and figure.currency in open_ones:
                    sums[figure.currency] += figure.minor
    return dict(sums)


def _same(some: Mapping[str, int], others: Mapping[str, int]) -> bool:
    return all(some.get(one, 0) == others.get(one, 0) for one in {*some, *others})


def _approvals(tx: Tx, subjects: Sequence[tuple[str, UUID]]) -> tuple[Counter[str], list[str]]:
    """How many of these were approved, by how, each checked again; and those that do not stand."""
    states = approval.approval_state(tx, [subject_id for _, subject_id in subjects])
    told: Counter[str] = Counter()
    broken: list[str] = []
    for kind, subject_id in subjects:
        if states[subject_id] is not approval.ApprovalState.GIVEN:
            continue
        approval_id = approval.approval_id_of(kind, subject_id)
        try:
            _, proofs = approval.check(tx, approval_id)
        except approval.EvidenceBroken:
            broken.append(str(approval_id))
            continue
        told.update(proof.method for proof in proofs)
    return told, broken
