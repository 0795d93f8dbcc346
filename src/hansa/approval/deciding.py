"""Deciding on spends, a batch at a time: freeze, mandates, delegations, limits and policy; and giving back.

A batch locks the rows of its accounts in key order, reads all that bears on its spends in one statement, decides one by
one in the order given, in memory, and writes the outcome in one statement. In memory, ids are whole numbers, whose hash
costs a tenth of a UUID's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from hansa import atlas, identity
from hansa.approval import store
from hansa.approval.counting import (
    Counter,
    Moment,
    added,
    empty,
    hours_since,
    last_hour,
    moment_of,
    period_of,
    rolled,
    taken_off,
)
from hansa.approval.limits import SPANS, Limit, Span, scopes_of
from hansa.approval.model import (
    Allowed,
    ApprovalLevel,
    Channel,
    DelegationExceeded,
    Holder,
    LimitReached,
    Needs,
    Reason,
    Refused,
    Spend,
    SpendDiffers,
    SpendEnded,
    SpendingFrozen,
    UnratedCurrency,
    Verdict,
    YearCapReached,
)
from hansa.approval.policy import RECENT_H, Policy, Risk, Rules, own_policy, own_rules, read_policy
from hansa.approval.standing import Delegation, Mandate, refuse_delegation, refuse_mandate
from hansa.approval.store import AccountKey, AccountRow, Bearing, UseRow, Wanted
from hansa.identity import AccountId, Knowledge, ProofLevel, year_cap
from hansa.kernel import HansaError, InvalidInput, Money, Problem
from hansa.store import Tx

SPENDS_MAX = 8_192
"""Spends of one batch."""

NAME_MAX, KEY_MAX = 200, 200
MINOR_MAX = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gave for a spend, in place of what it brings. approval_id: where it is kept. credential_at: since
    when what they used is theirs.
    """

    level: ApprovalLevel
    approval_id: UUID
    credential_at: datetime | None = None


def decide(tx: Tx, spends: Sequence[Spend], at: datetime, asked: "Asked | None" = None) -> list[Verdict]:
    """What is to be said to each of these spends, in the order given, as if they came one by one.

    An allowed spend counts against limits if this transaction commits, once, however often it is asked about; for one
    that a person approved since, the answer is Allowed with that approval. spends: any accounts, the same one many
    times too; at most 8,192. The accounts stay locked until the transaction ends. asked: what ``ask`` has under way for
    all of them, in this transaction. Errors: InvalidInput for spends that make no sense; nothing is counted then.
    """
    return judge(tx, spends, at, {}, asked)


def judge(
    tx: Tx,
    spends: Sequence[Spend],
    at: datetime,
    given: Mapping[UUID, Given],
    asked: "Asked | None" = None,
) -> list[Verdict]:
    """``decide``, where persons have given something for some of the spends already."""
    if not spends:
        return []
    _check(spends)
    desk = _read(tx, asked or Asked(tx, [_wanted(one) for one in spends]))
    verdicts = [_judge(desk, spend, at, given.get(spend.spend_id) if given else None) for spend in spends]
    if desk.uses:
        counters = desk.counters
        rows = [
            store.CounterRow(key[0], f"{key[1]:032x}", key[2], key[3], counters[key])
            for key in sorted(desk.touched)
        ]
        store.write(tx, desk.uses, desk.new_payees, rows)
    return verdicts


class Asked:
    """What bears on some spends, on its way from the database, so that others can ask beside it in a pipeline.

    Their accounts are locked in key order, and what is read is read under those locks.
    """

    def __init__(self, tx: Tx, wanted: Sequence[Wanted]) -> None:
        assert wanted, "there is something to decide on"
        self.wanted = wanted
        self._keys = {(one.partition, one.account_id.int): (one.partition, one.account_id) for one in wanted}
        self._locking = store.ask_to_lock(tx, [self._keys[key] for key in sorted(self._keys)])
        self._ask(tx)
        self._accounts: list[AccountRow] | None = None

    @property
    def accounts(self) -> list[AccountRow]:
        """The accounts that were locked; none where one of them has no row yet."""
        if self._accounts is None:
            self._accounts = store.locked_accounts(self._locking)
        return self._accounts

    @property
    def is_whole(self) -> bool:
        """Whether all accounts have a row and are locked."""
        return len(self.accounts) == len(self._keys)

    @property
    def issuers(self) -> dict[AccountId, str] | None:
        """The issuer of each account; None where one of them has no row yet, and may not be there at all."""
        return {one.account_id: one.issuer_id for one in self.accounts} if self.is_whole else None

    def lock(self, tx: Tx) -> None:
        """Lock those accounts that identity knows, giving them rows, and read anew."""
        self._accounts = _locked(tx, set(self._keys.values()))
        self._ask(tx)

    def _ask(self, tx: Tx) -> None:
        self._bearing = store.ask_what_bears(tx, self.wanted)
        self._persons = identity.ask_for_knowledge(tx, [AccountId(one) for _, one in self._keys.values()])

    def bearing(self) -> list[Bearing]:
        """What bears on each spend, in order."""
        return store.bearing(self._bearing, self.wanted)

    def persons(self) -> dict[AccountId, Knowledge]:
        """What is known of the people of these accounts."""
        return identity.knowledge(self._persons)


def give_back(tx: Tx, spend_ids: Collection[UUID], *, at: datetime, partition: int = 0) -> int:
    """Take these spends off the limits again, since they came to nothing; gives how many were. Again is harmless.

    A spend that was given back is not taken up again: asking about it is refused.
    """
    keys = [(partition, spend_id) for spend_id in spend_ids]
    uses = [one for one in store.fetch_uses(tx, keys).values() if one.given_back_at is None]
    if not uses:
        return 0
    accounts = {row.account_id: row for row in _locked(tx, {(one.partition, one.account_id) for one in uses})}
    # Somebody may have given them back before the lock was ours.
    uses = [one for one in store.fetch_uses(tx, keys).values() if one.given_back_at is None]
    unders = {(one.partition, one.under_id) for one in uses if one.under_id is not None}
    counters = store.fetch_counters(tx, {(one.partition, one.account_id) for one in uses} | unders)
    mandates = store.fetch_mandates(tx, unders) if unders else {}
    touched: set[Holder] = set()
    for use in uses:
        moment = moment_of(use.at, accounts[use.account_id].zone)
        scopes = ("", *scopes_of(use.channel, use.category))
        holders = [(_holder(use, use.account_id, scope), moment.month) for scope in scopes]
        if use.under_id is not None:
            mandate = mandates.get(use.under_id)
            period = moment.month if mandate is None else period_of(mandate.period, moment.day)
            holders.append((_holder(use, use.under_id, ""), period))
        in_year = counts_in_year(use.channel)
        for holder, period in holders:
            if holder in counters:
                counters[holder] = taken_off(counters[holder], use.minor, moment, period, in_year=in_year)
                touched.add(holder)
    store.write_counters(tx, {one: counters[one] for one in touched})
    store.give_back(tx, partition, [one.spend_id for one in uses], [one.account_id for one in uses], at)
    return len(uses)


def prepare(tx: Tx, keys: Collection[AccountKey]) -> None:
    """See to it that these accounts have rows here; those that identity does not know get none."""
    missing = sorted(set(keys) - store.known_accounts(tx, sorted(keys)))
    if not missing:
        return
    found = identity.find_accounts(tx, [AccountId(account_id) for _, account_id in missing])
    zones = {city.city_id: city.tz for city in atlas.list_cities(tx)}
    rows = [
        (partition, account_id, one.issuer_id, zones.get(one.home_city_id, "UTC"))
        for partition, account_id in missing
        if (one := found.get(AccountId(account_id))) is not None
    ]
    if rows:
        store.add_accounts(tx, rows)


def lock_account(tx: Tx, partition: int, account_id: AccountId) -> AccountRow:
    """This account's row, locked until the transaction ends: whoever changes what it may spend holds it.

    Errors: identity.UnknownAccount.
    """
    return lock_accounts(tx, {(partition, account_id)})[account_id]


def lock_accounts(tx: Tx, keys: Collection[tuple[int, AccountId]]) -> dict[AccountId, AccountRow]:
    """The same for several, locked in key order. Errors: identity.UnknownAccount."""
    found = {row.account_id: row for row in _locked(tx, keys)}
    missing = [account_id for _, account_id in keys if account_id not in found]
    if missing:
        raise identity.UnknownAccount(f"No account {missing[0]} is open here.")
    return found


def policy_of(tx: Tx, issuer_id: str) -> Policy:
    """The policy that holds for the accounts of this issuer."""
    return _rules(tx, issuer_id, store.policy_revisions(tx, [issuer_id]).get(issuer_id)).policy


# -- one by one ---------------------------------------------------------------------------------------------


_Key = tuple[int, int, str, str]
"""A counter's: partition, holder, currency, scope."""


@dataclass(slots=True)
class _Desk:
    """All that bears on a batch, and what it comes to."""

    accounts: Mapping[int, AccountRow]
    policies: Mapping[str, Rules]
    persons: Mapping[int, Knowledge]
    counters: dict[_Key, Counter]
    known: dict[tuple[int, str], datetime]
    before: dict[int, UseRow]
    limits: Mapping[UUID, list[Limit]]
    mandates: Mapping[int, Mandate]
    delegations: Mapping[tuple[UUID, UUID], list[Delegation]]
    moments: dict[str, Moment] = field(default_factory=dict)
    uses: list[UseRow] = field(default_factory=list)
    new_payees: list[tuple[int, UUID, str, datetime, UUID]] = field(default_factory=list)
    touched: set[_Key] = field(default_factory=set)


def _judge(desk: _Desk, spend: Spend, at: datetime, given: Given | None) -> Verdict:
    number = spend.account_id.int
    account = desk.accounts.get(number)
    if account is None:
        return Refused(identity.UnknownAccount(f"No account {spend.account_id} is open here."))
    known = desk.before.get(spend.spend_id.int)
    if known is not None:
        return _again(known, spend)
    person = desk.persons.get(number, _NOBODY)
    if person.closed:
        return Refused(identity.AccountClosed())
    if person.lacks_guardian:
        return Refused(identity.GuardianNeeded())
    if account.frozen_at is not None:
        return Refused(SpendingFrozen(_who_froze(account)))
    rules = desk.policies[account.issuer_id]
    currency = spend.amount.currency
    if currency not in rules.policy.units:
        return Refused(
            UnratedCurrency(f"{account.issuer_id} has not said what a small amount of {currency} is.")
        )
    moment = desk.moments.get(account.zone)
    if moment is None:
        moment = desk.moments[account.zone] = moment_of(at, account.zone)

    under, refused = _under(desk, spend, at, moment)
    if refused is not None:
        return Refused(refused)
    counter = _counter(desk, (spend.partition, number, currency, ""), moment, moment.month)
    refused = _over_limits(desk, account, rules, person, counter, spend, at, moment)
    if refused is not None:
        return Refused(refused)

    level, reasons = _level(desk, account, rules, person, counter, spend, at, moment, given)
    if _owner_is_asked(under, spend) and level < ApprovalLevel.SECOND_PERSON:
        level = ApprovalLevel.SECOND_PERSON
        reasons = (Reason("guarded", level),)
    has = spend.brings if given is None else given.level
    if has < level:
        return Needs(level, reasons)
    evidence = given.approval_id if given is not None else spend.mandate_id
    _take(desk, account, counter, spend, at, moment, has, evidence, under)
    return Allowed(has, evidence)


_NOBODY = Knowledge()


def _owner_is_asked(under: Mandate | Delegation | None, spend: Spend) -> bool:
    """Whether the owner wants to agree to what a delegate spends here."""
    ask_above = under.ask_above_minor if isinstance(under, Delegation) else None
    return ask_above is not None and spend.amount.minor > ask_above


def _again(known: UseRow, spend: Spend) -> Verdict:
    """A spend that was allowed before."""
    said = (known.account_id, known.minor, known.currency, known.payee_key, known.channel)
    if said != (
        spend.account_id, spend.amount.minor, spend.amount.currency, spend.payee_key, spend.channel.value
    ):  # fmt: skip
        return Refused(SpendDiffers())
    if known.given_back_at is not None:
        return Refused(SpendEnded())
    return Allowed(ApprovalLevel(known.level), known.evidence)


def _under(
    desk: _Desk, spend: Spend, at: datetime, moment: Moment
) -> tuple[Mandate | Delegation | None, HansaError | None]:
    """The mandate or the delegation under which this is spent, and why that does not let it be, if so."""
    if spend.mandate_id is not None or spend.channel is Channel.MANDATE:
        mandate = desk.mandates.get(spend.mandate_id.int) if spend.mandate_id is not None else None
        period = moment.month if mandate is None else period_of(mandate.period, moment.day)
        holder = _key_of(spend, spend.mandate_id or spend.spend_id)
        return mandate, refuse_mandate(mandate, _counter(desk, holder, moment, period), spend, at)
    if spend.by is not None and spend.by != spend.account_id:
        found = desk.delegations.get((spend.account_id, spend.by), [])
        refused: HansaError | None = None
        for delegation in found or [None]:
            holder = _key_of(spend, spend.spend_id if delegation is None else delegation.delegation_id)
            counter = _counter(desk, holder, moment, moment.month)
            why = refuse_delegation(delegation, counter, spend, at, moment.local_hour)
            if why is None:
                return delegation, None
            if not isinstance(refused, DelegationExceeded):  # of one that holds, and not of one that is over
                refused = why
        return None, refused
    return None, None


def _over_limits(
    desk: _Desk,
    account: AccountRow,
    rules: Rules,
    person: Knowledge,
    counter: Counter,
    spend: Spend,
    at: datetime,
    moment: Moment,
) -> HansaError | None:
    """Which limit this spend is over, the issuer's ceiling or one that the owner set; None where it is within all."""
    minor, currency = spend.amount.minor, spend.amount.currency
    recovered = person.recovered_at is not None and _recovered(rules.policy, person, at)
    ceilings = rules.ceiling(int(person.level), currency, recovered=recovered)
    spent = (0, counter.day_minor, counter.period_minor)
    for span, ceiling, so_far in zip(SPANS, ceilings, spent, strict=True):
        if so_far + minor > ceiling:
            why = " in the days after a recovery" if recovered else ""
            return _reached("what your issuer lets this account spend", span, ceiling, so_far, currency, why)
    cap = year_cap(account.issuer_id, int(person.level), currency)
    if cap is not None and counter.year_minor + minor > cap and counts_in_year(spend.channel):
        return _year_reached(person.level, cap, counter.year_minor, currency)
    if not account.limited:
        return None
    scopes = ("", *scopes_of(spend.channel.value, spend.category))
    for limit in desk.limits.get(spend.account_id, []):
        if recovered and person.recovered_at is not None:
            bound = limit.lowered(at, person.recovered_at, rules.policy.recovery.percent)
        else:
            bound = limit.holds(at)
        if bound is None or limit.currency != currency or limit.scope not in scopes:
            continue
        counter = _counter(desk, _key_of(spend, spend.account_id, limit.scope), moment, moment.month)
        used = {"payment": 0, "day": counter.day_minor, "month": counter.period_minor}[limit.span]
        if used + minor > bound:
            part = f" by {limit.scope.replace(':', ' ')}" if limit.scope else ""
            return _reached("the limit its owner set", limit.span, bound, used, currency, part)
    return None


def _level(
    desk: _Desk,
    account: AccountRow,
    rules: Rules,
    person: Knowledge,
    counter: Counter,
    spend: Spend,
    at: datetime,
    moment: Moment,
    given: Given | None,
) -> tuple[ApprovalLevel, tuple[Reason, ...]]:
    minor, currency = spend.amount.minor, spend.amount.currency
    count, hour_minor = last_hour(counter, moment.second)
    since = desk.known.get((spend.account_id.int, spend.payee_key))
    payee = 2 if since is None else 1 if at - since < _RECENT else 0
    credential_at = spend.credential_at if given is None else given.credential_at or spend.credential_at
    risk = Risk(
        spend.channel,
        rules.band_of(minor, currency),
        payee,
        int(person.level),
        count + 1,
        rules.band_of(hour_minor + minor, currency),
        rules.band_of(counter.day_minor + minor, currency),
        hours_since(credential_at, at),
        hours_since(spend.session_at, at) if given is None else None,
        hours_since(person.recovered_at, at),
        person.guarded or account.co_approved,
    )
    return rules.required(risk)


_RECENT = timedelta(hours=RECENT_H)


def _take(
    desk: _Desk,
    account: AccountRow,
    counter: Counter,
    spend: Spend,
    at: datetime,
    moment: Moment,
    level: ApprovalLevel,
    evidence: UUID | None,
    under: Mandate | Delegation | None,
) -> None:
    """Count this spend."""
    under_id = None
    minor, month = spend.amount.minor, moment.month
    number = spend.account_id.int
    own = (spend.partition, number, spend.amount.currency, "")
    desk.counters[own] = added(counter, minor, in_year=counts_in_year(spend.channel))
    desk.touched.add(own)
    if account.limited:
        mine = {
            one.scope
            for one in desk.limits.get(spend.account_id, ())
            if one.currency == spend.amount.currency
        }
        for scope in scopes_of(spend.channel.value, spend.category):
            if scope in mine:
                _add(desk, _key_of(spend, spend.account_id, scope), minor, moment, month)
    if isinstance(under, Mandate):
        under_id = under.mandate_id
        _add(desk, _key_of(spend, under_id), minor, moment, period_of(under.period, moment.day))
    elif under is not None:
        under_id = under.delegation_id
        _add(desk, _key_of(spend, under_id), minor, moment, month)
    if (number, spend.payee_key) not in desk.known:
        desk.known[number, spend.payee_key] = at
        desk.new_payees.append((spend.partition, spend.account_id, spend.payee_key, at, spend.spend_id))
    use = UseRow(
        spend.partition, spend.spend_id, spend.account_id, at, minor, spend.amount.currency, spend.payee_key,
        spend.channel.value, spend.category, int(level), evidence, under_id, None,
    )  # fmt: skip
    desk.uses.append(use)
    desk.before[spend.spend_id.int] = use


def _add(desk: _Desk, holder: _Key, minor: int, moment: Moment, period: date) -> None:
    desk.counters[holder] = added(_counter(desk, holder, moment, period), minor)
    desk.touched.add(holder)


def _counter(desk: _Desk, holder: _Key, moment: Moment, period: date) -> Counter:
    found = desk.counters.get(holder)
    return empty(moment, period) if found is None else rolled(found, moment, period)


def _recovered(policy: Policy, person: Knowledge, at: datetime) -> bool:
    hours = hours_since(person.recovered_at, at)
    return hours is not None and hours < policy.recovery.hours


def _reached(what: str, span: Span, bound: int, spent: int, currency: str, more: str) -> LimitReached:
    words = {"payment": "in one payment", "day": "in a day", "month": "in a month"}[span]
    left = Money(max(0, bound - spent), currency)
    return LimitReached(
        f"{left} is left of {what} {words}{more}: {Money(bound, currency)}.",
        problems=(Problem("amount", f"more than {left}", "Pay less, or look at the account's limits"),),
    )


def counts_in_year(channel: str) -> bool:
    """Whether a spend counts against the year of a level: not what its owner takes to their own bank account."""
    return channel != Channel.BANK


def _year_reached(level: ProofLevel, cap: int, spent: int, currency: str) -> YearCapReached:
    left = Money(max(0, cap - spent), currency)
    remedy = "Pay less, or wait for the new year"
    if level < ProofLevel.DOCUMENT:
        remedy = "Prove your name at /wallet/me/name, or pay less"
    return YearCapReached(
        f"{left} is left of what an account of level {level.name.lower()} may pay in a calendar year:"
        f" {Money(cap, currency)}.",
        problems=(Problem("amount", f"more than {left}", remedy),),
    )


def _who_froze(account: AccountRow) -> str:
    return f"All spending from this account was frozen by the {account.frozen_by}."


# -- reading ------------------------------------------------------------------------------------------------


def _read(tx: Tx, asked: Asked) -> _Desk:
    wanted = asked.wanted
    if not asked.is_whole:
        asked.lock(tx)
    rows = asked.accounts
    bearing = asked.bearing()
    counters: dict[_Key, Counter] = {}
    known: dict[tuple[int, str], datetime] = {}
    before: dict[int, UseRow] = {}
    mandates: dict[int, Mandate] = {}
    delegated: set[tuple[int, UUID, UUID]] = set()
    for one, (mandate, known_at, own, under, use) in zip(wanted, bearing, strict=True):
        number = one.account_id.int
        if own is not None:
            counters[one.partition, number, one.currency, ""] = own
        if known_at is not None:
            known[number, one.payee_key] = known_at
        if mandate is not None:
            mandates[mandate.mandate_id.int] = mandate
            if under is not None:
                counters[one.partition, mandate.mandate_id.int, one.currency, ""] = under
        if use is not None:
            before[one.spend_id.int] = use
        if one.by is not None:
            delegated.add((one.partition, one.account_id, one.by))
    delegations: dict[tuple[UUID, UUID], list[Delegation]] = {}
    for one in store.fetch_delegations(tx, delegated) if delegated else []:
        delegations.setdefault((one.account_id, one.delegate_id), []).append(one)
    limited = [(row.partition, row.account_id) for row in rows if row.limited]
    holders = {(one.partition, one.delegation_id) for found in delegations.values() for one in found}
    holders.update(limited)
    if holders:
        for holder, counter in store.fetch_counters(tx, holders).items():
            counters[holder.partition, holder.holder_id.int, holder.currency, holder.scope] = counter
    return _Desk(
        accounts={row.account_id.int: row for row in rows},
        policies={
            issuer_id: _rules(tx, issuer_id, revision)
            for issuer_id, revision in {(row.issuer_id, row.revision) for row in rows}
        },
        persons={account_id.int: one for account_id, one in asked.persons().items()},
        counters=counters,
        known=known,
        before=before,
        limits=store.fetch_limits(tx, limited) if limited else {},
        mandates=mandates,
        delegations=delegations,
    )


def _wanted(spend: Spend) -> Wanted:
    return Wanted(
        spend.partition,
        spend.spend_id,
        spend.account_id,
        spend.payee_key,
        spend.amount.currency,
        spend.mandate_id,
        spend.by,
    )


def _locked(tx: Tx, keys: Collection[AccountKey]) -> list[AccountRow]:
    """The rows of these accounts, locked in key order; without those that identity does not know."""
    rows = store.lock_accounts(tx, sorted(keys))
    if len(rows) < len(keys):
        prepare(tx, keys)
        there = sorted(store.known_accounts(tx, sorted(keys)))
        rows = store.lock_accounts(tx, there) if there else []
    return rows


def _rules(tx: Tx, issuer_id: str, revision: int | None) -> Rules:
    if revision is None:
        return own_rules()
    return _parsed(store.policy_body(tx, issuer_id, revision), issuer_id)


@lru_cache(maxsize=256)
def _parsed(body: str, issuer_id: str) -> Rules:
    return Rules(read_policy(body, under=own_policy(), where=f"the policy of {issuer_id}"))


def _check(spends: Sequence[Spend]) -> None:
    """Errors: InvalidInput, for what no payment may say."""
    problems: list[Problem] = []
    if len(spends) > SPENDS_MAX:
        problems.append(Problem("spends", f"there are {len(spends):,}", f"Send at most {SPENDS_MAX:,}"))
    for spend in spends:
        if not 0 < spend.amount.minor <= MINOR_MAX:
            problems.append(Problem("amount", f"it is {spend.amount}", "Give an amount above zero"))
        if not 1 <= len(spend.payee_key) <= KEY_MAX or "\0" in spend.payee_key:
            problems.append(Problem("payee_key", "it does not fit", f"Give 1 to {KEY_MAX} characters"))
        if spend.category and not (len(spend.category) == 4 and spend.category.isdigit()):
            problems.append(Problem("category", f"{spend.category[:20]!r}", "Give four digits (ISO 18245)"))
    if problems:
        raise InvalidInput("These spends cannot be decided on.", problems=tuple(problems[:20]))


def _key_of(spend: Spend, holder_id: UUID, scope: str = "") -> _Key:
    return (spend.partition, holder_id.int, spend.amount.currency, scope)


def _holder(use: UseRow, holder_id: UUID, scope: str) -> Holder:
    return Holder(use.partition, holder_id, use.currency, scope)
