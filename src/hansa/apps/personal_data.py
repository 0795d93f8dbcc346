"""A person's data across all rooms: what stands in the way of deleting it, deleting it, and giving all of it out.

A room that keeps something of persons adds a line here: to ``OBSTACLES`` what of it must be settled before they go, to
``PARTS`` what of it is theirs to take along.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from hansa import (
    approval,
    atlas,
    cards,
    disputes,
    identity,
    ledger,
    merchants,
    notifications,
    payments,
    rides,
    wallets,
)
from hansa.approval import own_data as own_spending
from hansa.identity import Account, AccountId, Sealer
from hansa.kernel import Money, Problem
from hansa.payments import payment_codes
from hansa.store import Context, Tx
from hansa.wallets import own_data

PAGE = 500
"""How many lines of a room are read at once."""

# -- what stands in the way ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that must be settled before an account can go.

    code: stable. what, remedy: English sentences of the catalogues, with ``facts`` in their places. address: where to
    settle it.
    """

    code: str
    what: str
    remedy: str
    address: str
    facts: dict[str, object]


OBSTACLE_WORDS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "money": ("Your wallet holds {amount}.", "Withdraw it or spend it first.", "/wallet/withdraw"),
        "hold": (
            "A payment is held and not finished.",
            "Wait until it is paid or released.",
            "/wallet/statement",
        ),
        "moving": (
            "Money of yours is on its way.",
            "Wait until it has arrived, or call it off.",
            "/wallet/money",
        ),
        "automatic": (
            "Your wallet is topped up by itself.",
            "Turn that off first.",
            "/wallet/top-up",
        ),
        "debt": (
            "You owe your issuer {amount} for rides.",
            "Top up: what is owed is taken from it.",
            "/wallet/top-up",
        ),
        "dispute": (
            "A request for money back is not decided yet.",
            "Wait for the answer, or withdraw the request.",
            "/wallet/refunds",
        ),
        "blocked": (
            "Your issuer has blocked this account.",
            "Ask your issuer what is open.",
            "/wallet/phones",
        ),
        "ward": (
            "You are the only guardian of somebody.",
            "Have another guardian accept, or end the guardianship, first.",
            "/wallet/me/guardians",
        ),
        "deposit": (
            "Your issuer holds a deposit of {amount} for a card of yours.",
            "Hand the card in, and wait for the deposit to come back.",
            "/wallet/cards",
        ),
        "card": (
            "A card of yours is being paid.",
            "Wait until it is paid, or not.",
            "/wallet/cards",
        ),
        "shop": (
            "You are the only owner of the shop {name}.",
            "Have another owner join it, or its bank close it, first.",
            "/wallet/shops",
        ),
    }
)
"""What stands in the way, what to do about it, and where, by its code; ``{amount}`` and ``{name}`` are facts of it."""


def _obstacle(code: str, amount: Money | None = None, **facts: object) -> Obstacle:
    what, remedy, address = OBSTACLE_WORDS[code]
    return Obstacle(code, what, remedy, address, facts if amount is None else {"amount": amount, **facts})


def _money(tx: Tx, account: Account, partition: int) -> Iterator[Obstacle]:
    for held in payments.balance_of(tx, account.account_id, partition=partition):
        if held.minor:
            yield _obstacle("money", held)
        wallet = payments.wallet_id(account.account_id, held.currency)
        one = ledger.balances(tx, [wallet]).get(wallet)
        if one is not None and (one.debits_pending or one.credits_pending):
            yield _obstacle("hold")


def _payments_of(tx: Tx, account_id: AccountId) -> list[payments.Payment]:
    """All that was ever paid from this account, latest first."""
    found: list[payments.Payment] = []
    before: tuple[datetime, UUID] | None = None
    while page := payments.list_payments(tx, payer=account_id, before=before, limit=PAGE):
        found += page
        before = (page[-1].created_at, page[-1].payment_id)
    return found


ON_ITS_WAY = frozenset(
    (
        payments.PaymentState.PROCESSING,
        payments.PaymentState.UNKNOWN,
        payments.PaymentState.AUTHORIZED,
        *(wallets.State.PROCESSING, wallets.State.HELD, wallets.State.CLAIMED, wallets.State.IN_TRANSIT),
        *(wallets.State.RETURNING, wallets.State.VOIDING),
        *(wallets.TopUpState.PROCESSING, wallets.TopUpState.SENT, wallets.TopUpState.UNKNOWN),
        *(wallets.TopUpState.SETTLING, wallets.TopUpState.RETURNING),
        *(wallets.WithdrawalState.PROCESSING, wallets.WithdrawalState.HELD, wallets.WithdrawalState.SENT),
        *(
            wallets.WithdrawalState.UNKNOWN,
            wallets.WithdrawalState.SETTLING,
            wallets.WithdrawalState.RELEASING,
        ),
        *(wallets.WithdrawalState.RETURNING, wallets.WithdrawalState.COLLECTING),
    )
)
"""States in which money has left one place and has not reached another."""


def _moving(tx: Tx, account: Account, partition: int) -> Iterator[Obstacle]:
    own, account_id = wallets.own_data, account.account_id
    states: list[str] = [one.state for one in own.sent(tx, account_id, partition)]
    states += [one.state for one in own.paid_in(tx, account_id, partition)]
    states += [one.state for one in own.paid_out(tx, account_id, partition)]
    states += [one.state for one in _payments_of(tx, account_id)]
    if not ON_ITS_WAY.isdisjoint(states):
        yield _obstacle("moving")
    if own.rules(tx, account_id, partition):
        yield _obstacle("automatic")


def _debts(tx: Tx, account: Account, partition: int) -> Iterator[Obstacle]:
    for owed in payments.debts_of(tx, account.account_id, partition=partition):
        if owed.minor:
            yield _obstacle("debt", owed)


def _disputes(tx: Tx, account: Account, _: int) -> Iterator[Obstacle]:
    states = frozenset(disputes.State) - disputes.FINAL
    wanted = disputes.Wanted(account=account.account_id, states=states)
    open_ones = disputes.find_disputes(tx, wanted, limit=PAGE)
    if open_ones:
        yield _obstacle("dispute")


def _standing(tx: Tx, account: Account, _: int) -> Iterator[Obstacle]:
    if identity.standing_of(tx, account.account_id).level == "blocked":
        yield _obstacle("blocked")


def _wards(tx: Tx, account: Account, _: int) -> Iterator[Obstacle]:
    wards = identity.wards_of(tx, account.account_id)
    alone = [one for one in wards if identity.guardian_of(tx, one) == [account.account_id]]
    if alone:
        yield _obstacle("ward")


def _deposits(tx: Tx, account: Account, _: int) -> Iterator[Obstacle]:
    for card in cards.list_own(tx, account.account_id):
        if card.fee is not None and card.fee.deposit in ("held", "returning"):
            yield _obstacle("deposit", Money(card.fee.deposit_minor, card.fee.currency))
        if card.fee is not None and card.fee.state == "paying":
            yield _obstacle("card")


def _shops(tx: Tx, account: Account, _: int) -> Iterator[Obstacle]:
    for name in merchants.owned_alone(tx, account.account_id):
        yield _obstacle("shop", name=name)


OBSTACLES: list[Callable[[Tx, Account, int], Iterator[Obstacle]]] = [
    _money,
    _moving,
    _debts,
    _disputes,
    _standing,
    _wards,
    _deposits,
    _shops,
]
"""Each finds what of one room stands in the way, given the account and its ledger partition."""


def obstacles(tx: Tx, account: Account, *, partition: int) -> list[Obstacle]:
    """All that must be settled before this account can go, each with what to do about it."""
    return [one for find in OBSTACLES for one in find(tx, account, partition)]


# -- deleting -----------------------------------------------------------------------------------------------


def ask_deletion(ctx: Context, account_id: AccountId, deletion_id: UUID) -> identity.Deletion:
    """Begin a deletion: in 14 days it is carried out, unless it is taken back.

    Errors: identity.DeletionBlocked with each obstacle and its remedy; UnknownAccount, AccountClosed.
    """
    with ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
        found = obstacles(tx, account, partition=ctx.directory.partition_of(account_id))
        if found:
            raise identity.DeletionBlocked(problems=tuple(_problem(one) for one in found))
        return identity.ask_deletion(tx, deletion_id, account_id, ctx.clock.now())


def carry_out_deletions(ctx: Context, *, limit: int = 50) -> int:
    """Close the accounts whose time to think is over, and destroy the keys whose time to be kept is; how many.

    One account, one transaction. What stands in the way by then is noted for its person, and looked at again later.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        due = identity.due_deletions(tx, at, limit=limit)
    done = sum(_carry_out(ctx, one.account_id, at) for one in due)
    with ctx.tx() as tx:
        return done + identity.erase_due(tx, at, limit=limit)


def _carry_out(ctx: Context, account_id: AccountId, at: datetime) -> bool:
    if _is_blocked(ctx, account_id, at):
        return False
    _end_dealings(ctx, account_id)
    with ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
        if obstacles(tx, account, partition=ctx.directory.partition_of(account_id)):
            return False  # it came just now; the next turn notes what it is
        for phone in identity.list_phones(tx, account_id):
            if phone.status == "active":
                rides.end_phone(tx, account_id, phone.phone_id, "removed", at=at)
        merchants.leave_shops(tx, account_id, at)
        wallets.bank_accounts.end_all(tx, account_id, at)
        notifications.forget_person(tx, account_id, partition=ctx.directory.partition_of(account_id))
        kept = timedelta(days=identity.own_level_policy().kept_days(account.issuer_id))
        return identity.close_account(tx, account_id, at=at, erase_at=at + kept)


def _is_blocked(ctx: Context, account_id: AccountId, at: datetime) -> bool:
    """Whether something stands in the way by now; what it is is noted for the person."""
    with ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
        found = obstacles(tx, account, partition=ctx.directory.partition_of(account_id))
        if found:
            identity.note_obstacles(tx, account_id, sorted({one.code for one in found}), at)
    return bool(found)


def _end_dealings(ctx: Context, account_id: AccountId) -> None:
    """End what binds this person and others: they are told, and nothing waits for somebody who is gone.

    Each by itself and harmless again, so that a kill between two of them is mended by the next turn.
    """
    approval.leave(ctx, account_id)
    with ctx.tx() as tx:
        held = cards.list_own(tx, account_id)
        asked = wallets.requests.list_requests(tx, account_id, only_open=True, limit=PAGE)
        splits = wallets.requests.list_splits(tx, account_id, limit=PAGE)
    for card in held:
        cards.end_own(ctx, account_id, card.card_id, reason="the account was deleted")
    for split in splits:
        if split.state is wallets.SplitState.OPEN:
            wallets.requests.cancel_split(ctx, account_id, split.split_id)
    for one in asked:
        try:
            if one.payer_id == account_id:
                wallets.requests.decline(ctx, account_id, one.request_id)
            elif one.split_id is None:
                wallets.requests.cancel(ctx, account_id, one.request_id)
        except wallets.RequestMoved:
            continue  # it was paid or ended by the other side meanwhile


def end_wards_of_age(ctx: Context, sealer: Sealer, *, limit: int = 200) -> int:
    """End guardianships whose ward came of age by today, by the law of the ward's home city; how many."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        found = identity.wards_to_look_at(tx, at.date(), limit=limit)
        accounts = identity.find_accounts(tx, sorted({one.ward_id for one in found}))
        countries = {one.account_id: country_of(tx, one) for one in accounts.values()}
        return len(identity.end_at_majority(tx, sealer, found, countries, at=at))


def look_at_ages(ctx: Context, sealer: Sealer, *, limit: int = 200) -> int:
    """Work out anew who needs a guardian: of days of birth that a proof said just now, and of children each day, until
    they are old enough by the law of their home city; how many were looked at.
    """
    today = ctx.clock.now().date()
    with ctx.tx() as tx:
        accounts = identity.find_accounts(tx, identity.births_to_look_at(tx, today, limit=limit))
        countries = {one.account_id: country_of(tx, one) for one in accounts.values()}
        if countries:
            identity.look_at_births(tx, sealer, countries, today=today)
    return len(countries)


def country_of(tx: Tx, account: Account) -> str:
    """The country of an account's home city; empty for a city that is not known here."""
    try:
        return atlas.get_city(tx, account.home_city_id).country
    except atlas.UnknownCity:
        return ""


def currency_of(tx: Tx, account: Account) -> str:
    """The currency of an account's home city; EUR for a city that is not known here."""
    try:
        return atlas.get_city(tx, account.home_city_id).currency
    except atlas.UnknownCity:
        return "EUR"


def _problem(one: Obstacle) -> Problem:
    return Problem(one.code, one.what.format(**one.facts).rstrip("."), one.remedy)


# -- giving out ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Of:
    """Whose data are read, with what. partition: of the ledger. at: the instant they are read for."""

    tx: Tx
    account: Account
    sealer: Sealer
    partition: int
    at: datetime

    @property
    def id(self) -> AccountId:
        """The account's id."""
        return self.account.account_id


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of a person's data. name: of its file. title: an English sentence of the catalogues. tables: what of the
    database it gives out; a test finds tables that no part gives out and NOT_GIVEN does not name.
    """

    name: str
    title: str
    read: Callable[[Of], Sequence[Any]]
    tables: tuple[str, ...]


def _journeys(of: Of) -> list[Any]:
    found: list[Any] = []
    after: tuple[datetime, UUID] | None = None
    while page := rides.journeys(of.tx, of.id, after=after, limit=PAGE):
        found += page
        after = (page[-1].started_at, page[-1].journey_id)
    return found


def _cards(of: Of) -> list[Any]:
    return [
        {"number": cards.number_of(of.tx, of.sealer, one), "card": one, "history": cards.history(of.tx, one)}
        for one in cards.list_own(of.tx, of.id)
    ]


def _watched(of: Of) -> list[Any]:
    marks = {
        one.currency: notifications.watches.low_mark(of.tx, of.id, one.currency, partition=of.partition)
        for one in payments.balance_of(of.tx, of.id, partition=of.partition)
    }
    plans = notifications.watches.list_budgets(of.tx, of.id, partition=of.partition)
    return [*({"low": minor, "currency": one} for one, minor in marks.items() if minor is not None), *plans]


def _movements(of: Of) -> list[Any]:
    found: list[Any] = []
    before: payments.Mark | None = None
    while page := payments.movements(of.tx, of.id, PAGE, before=before, partition=of.partition):
        found += page
        before = page[-1].mark
    return found


def _payments(of: Of) -> list[Any]:
    return _payments_of(of.tx, of.id)


def _quotes(of: Of) -> list[Any]:
    found: list[Any] = []
    before: tuple[datetime, UUID] | None = None
    while page := payments.list_quotes(of.tx, of.id, partition=of.partition, before=before, limit=PAGE):
        found += page
        before = (page[-1].made_at, page[-1].quote_id)
    return found


def _requests(of: Of) -> list[Any]:
    found: list[Any] = []
    before: tuple[datetime, UUID] | None = None
    while page := disputes.list_disputes(of.tx, account=of.id, before=before, limit=PAGE):
        found += page
        before = (page[-1].raised_at, page[-1].dispute_id)
    return found


def _accesses(of: Of) -> list[Any]:
    found: list[Any] = []
    after: tuple[datetime, UUID] | None = None
    while page := identity.list_accesses(of.tx, of.id, after=after, limit=PAGE):
        found += page
        after = page[-1].mark
    return found


def _birth(of: Of) -> list[Any]:
    found = identity.find_birth(of.tx, of.sealer, of.id)
    return [found] if found else []


def _deletion(of: Of) -> list[Any]:
    found = identity.find_deletion(of.tx, of.id)
    return [found] if found else []


def _person(of: Of) -> list[Any]:
    person = identity.person_of(of.tx, of.id)
    others = identity.accounts_of_person(of.tx, person) if person else []
    level = identity.proof_level(of.tx, of.id).name.lower()
    return [{"level": level, "accounts_of_this_person": others}]


def _spending(of: Of) -> list[Any]:
    freeze = approval.find_freeze(of.tx, of.partition, of.id)
    pin = approval.find_pin(of.tx, of.partition, of.id, of.at)
    wallet = own_spending.code_wallet(of.tx, of.id, of.partition)
    return [{"frozen": freeze, "pin": pin, "codes_pay_from": wallet}]


def _limits(of: Of) -> list[Any]:
    return own_spending.limits(of.tx, of.id, of.partition)


def _owed(of: Of) -> list[Any]:
    return [{"owed": one} for one in payments.debts_of(of.tx, of.id, partition=of.partition)]


def _muted(of: Of) -> list[Any]:
    return [{"account_id": one} for one in wallets.requests.list_muted(of.tx, of.id)]


def _how_told(of: Of) -> list[Any]:
    found = notifications.read_settings(of.tx, of.id, partition=of.partition)
    wishes = [
        {"kind": kind, "channel": channel, "wanted": wanted}
        for (kind, channel), wanted in sorted(found.wishes.items())
    ]
    whole = {name: getattr(found, name) for name in ("quiet_from", "quiet_to", "amounts", "digest_at")}
    return [whole, *wishes]


EVENTS_MAX = 10_000

PARTS: list[Part] = [
    Part("account", "Your account", lambda of: [of.account], ("identity.accounts",)),
    Part(
        "proof_level",
        "How well your name is proved",
        _person,
        ("identity.persons", "identity.person_accounts"),
    ),
    Part(
        "proofs",
        "Checks of your name",
        lambda of: identity.list_proofings(of.tx, of.sealer, of.id),
        ("identity.proofings",),
    ),
    Part("birth", "When you were born", _birth, ("identity.births",)),
    Part(
        "contacts",
        "How you are reached",
        lambda of: identity.list_contacts(of.tx, of.sealer, of.id),
        ("identity.contacts",),
    ),
    Part(
        "guardians",
        "Guardians and wards",
        lambda of: identity.list_guardianships(of.tx, of.id),
        ("identity.guardianships",),
    ),
    Part(
        "consents",
        "What you agreed to",
        lambda of: identity.history_of_consents(of.tx, of.id),
        ("identity.consents",),
    ),
    Part("accesses", "Who saw your data", _accesses, ("identity.accesses",)),
    Part(
        "sessions",
        "Where you are signed in",
        lambda of: identity.list_sessions(of.tx, of.id, of.at),
        ("identity.sessions",),
    ),
    Part(
        "security_events",
        "What happened to your sign-in",
        lambda of: identity.list_security_events(of.tx, of.id, limit=EVENTS_MAX),
        ("identity.security_events",),
    ),
    Part(
        "passkeys", "Your passkeys", lambda of: identity.list_passkeys(of.tx, of.id), ("identity.passkeys",)
    ),
    Part(
        "recoveries",
        "When somebody asked to come back",
        lambda of: identity.list_recoveries(of.tx, of.id),
        ("identity.recoveries",),
    ),
    Part("phones", "Your phones", lambda of: identity.list_phones(of.tx, of.id), ("identity.phones",)),
    Part(
        "standings",
        "How your account stood",
        lambda of: identity.list_standings(of.tx, of.id),
        ("identity.standings",),
    ),
    Part(
        "passes",
        "Your passes",
        lambda of: rides.list_passes(of.tx, of.id, partition=of.partition),
        ("rides.passes",),
    ),
    Part("cards", "Your city cards", _cards, ("cards.cards", "cards.fees")),
    Part("journeys", "Your journeys", _journeys, ("rides.journeys", "rides.charges")),
    Part(
        "movements",
        "What your wallet gained and paid",
        _movements,
        ("payments.wallets", "payments.top_ups", "payments.charges"),
    ),
    Part("payments", "What you paid", _payments, ("payments.payments", "payments.payers")),
    Part("quotes", "Rates you were told", _quotes, ("payments.quotes",)),
    Part(
        "spent_for_others",
        "What you sent from others’ wallets",
        lambda of: wallets.transfers.list_sent_for_others(of.tx, of.id, limit=EVENTS_MAX),
        ("wallets.transfers",),
    ),
    Part(
        "delegations",
        "Who may spend for you, and for whom you may",
        lambda of: own_spending.delegations(of.tx, of.id, of.partition),
        ("approval.delegations",),
    ),
    Part(
        "mandates",
        "Who may take money by itself",
        lambda of: own_spending.mandates(of.tx, of.id),
        ("approval.mandates",),
    ),
    Part(
        "announced_payments",
        "Payments that were announced to you",
        lambda of: own_spending.pulls(of.tx, of.id),
        ("approval.pulls",),
    ),
    Part(
        "approvals",
        "What you were asked to approve",
        lambda of: own_spending.approvals(of.tx, of.id, of.partition),
        ("approval.approvals", "approval.evidence"),
    ),
    Part(
        "spending",
        "How you may spend",
        _spending,
        ("approval.accounts", "approval.pins", "approval.code_wallets"),
    ),
    Part("limits", "Limits that you set", _limits, ("approval.limits",)),
    Part(
        "second_people",
        "Who agrees to large payments",
        lambda of: own_spending.second_people_of(of.tx, of.id),
        ("approval.co_approvers",),
    ),
    Part(
        "spending_changes",
        "What was changed about your spending",
        lambda of: approval.list_changes(of.tx, of.partition, of.id, limit=EVENTS_MAX),
        ("approval.changes",),
    ),
    Part(
        "payees",
        "Whom you have paid",
        lambda of: own_spending.paid(of.tx, of.id, of.partition),
        ("approval.payees",),
    ),
    Part(
        "codes",
        "Codes of yours that paid lately",
        lambda of: payment_codes.list_used_codes(of.tx, of.id, partition=of.partition, limit=EVENTS_MAX),
        ("payments.used_codes",),
    ),
    Part("debts", "What you owe", _owed, ("payments.debts",)),
    Part(
        "shops", "Shops that you act for", lambda of: merchants.acted_for(of.tx, of.id), ("merchants.people",)
    ),
    Part(
        "tickets",
        "Your tickets",
        lambda of: merchants.list_tickets(of.tx, of.id, limit=EVENTS_MAX),
        ("merchants.tickets",),
    ),
    Part("disputes", "Money you asked back", _requests, ("disputes.cases",)),
    Part(
        "sent",
        "What you sent to people",
        lambda of: own_data.sent(of.tx, of.id, of.partition),
        ("wallets.transfers",),
    ),
    Part(
        "received",
        "What people sent you",
        lambda of: own_data.received(of.tx, of.id, of.partition),
        ("wallets.arrivals",),
    ),
    Part(
        "requests",
        "Money asked of you and by you",
        lambda of: own_data.asked(of.tx, of.id),
        ("wallets.requests",),
    ),
    Part("muted", "Whose requests you do not want", _muted, ("wallets.muted",)),
    Part(
        "paid_by",
        "By what you are paid",
        lambda of: own_data.how_paid(of.tx, of.id),
        ("wallets.codes", "wallets.payment_references"),
    ),
    Part(
        "splits",
        "Bills you split",
        lambda of: own_data.splits(of.tx, of.id),
        ("wallets.splits", "wallets.shares"),
    ),
    Part(
        "bank_accounts",
        "Your bank accounts",
        lambda of: own_data.banks(of.tx, of.id),
        ("wallets.bank_accounts",),
    ),
    Part(
        "top_ups",
        "What you paid in",
        lambda of: own_data.paid_in(of.tx, of.id, of.partition),
        ("wallets.top_ups", "wallets.vouchers"),
    ),
    Part(
        "returns",
        "What went back to your bank",
        lambda of: own_data.gone_back(of.tx, of.id),
        ("wallets.returns",),
    ),
    Part(
        "automatic_top_ups",
        "What tops up by itself",
        lambda of: own_data.rules(of.tx, of.id, of.partition),
        ("wallets.automatic",),
    ),
    Part(
        "withdrawals",
        "What you paid out",
        lambda of: own_data.paid_out(of.tx, of.id, of.partition),
        ("wallets.withdrawals",),
    ),
    Part(
        "notices",
        "Notices",
        lambda of: notifications.list_notices(of.tx, of.id, partition=of.partition, limit=EVENTS_MAX),
        ("notifications.notices",),
    ),
    Part(
        "how_told", "How you want to be told", _how_told, ("notifications.people", "notifications.settings")
    ),
    Part("watched", "Budgets and balance", _watched, ("notifications.low_marks", "notifications.budgets")),
    Part("deletion", "Your wish to go", _deletion, ("identity.deletions",)),
]
"""All that is kept of a person, in the order it is given out."""

NOT_GIVEN: Mapping[str, str] = MappingProxyType(
    {
        "approval.counters": "sums of what payments, sends and withdrawals say, kept to hold limits",
        "approval.incoming": "places under a cap, for as long as money is on its way in",
        "approval.uses": "what payments, sends and withdrawals say, counted against limits for 400 days",
        "identity.challenges": "numbers to sign, good for minutes",
        "identity.documents": "digests by which a document is known again; proofs tell it",
        "identity.data_keys": "the key that opens all the rest",
        "identity.nonces": "numbers to sign, good for minutes",
        "identity.recovery_codes": "hashes of codes that open the account",
        "notifications.messages": "where notices, which are given out, are sent from",
        "merchants.sales": "the shop's own record of what payments tell",
        "payments.waiting": "which charges are not booked yet; journeys and movements tell them",
        "risk.cases": "what rules found: whoever defrauds would learn how; that a case was read is told in accesses",
        "risk.memories": "what rules remember of days, to compare with",
        "rides.dirty_days": "which days are rated again",
        "rides.opening_spend": "sums of what journeys cost, for caps",
        "rides.stated_ends": "where a journey ended, as its rider said: the journey tells it",
        "rides.tap_clocks": "how gates' clocks were corrected",
        "rides.taps": "the journey that each tap belongs to tells it",
        "rides.tokens": "what phones make codes with: worth nothing without the phone's key, and ends in days",
    }
)
"""Tables that name accounts and are not given out, each with the reason."""


def gather(ctx: Context, account_id: AccountId, sealer: Sealer) -> list[tuple[Part, list[Any]]]:
    """All that is kept of this account's holder, part by part. Errors: UnknownAccount."""
    with ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
        of = Of(tx, account, sealer, ctx.directory.partition_of(account_id), ctx.clock.now())
        return [(part, list(part.read(of))) for part in PARTS]
