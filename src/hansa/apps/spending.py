"""Where a person's money went: by month and category, compared, with the largest payees; exact to the minor unit.

All of it comes from the wallet's own lines, which the ledger carries (``payments.movements``); who was paid tells the
category (ISO 18245). What was given back is taken off the category it was spent in, in the month it came. Money between
places of one's own is told apart: it is no spending. Every line of a month is in exactly one row, so that the month's
beginning and all its rows come to its end.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from uuid import UUID
from zoneinfo import ZoneInfo

from hansa import cards, identity, payments, wallets
from hansa.identity import AccountId
from hansa.payments import Movement, MovementKind
from hansa.store import Tx

PAGE = 500
LINES_MAX = 50_000
"""Lines that are read for one answer: more than a person has in the months that are shown."""

PAYEES_SHOWN = 5
MONTHS = 6
"""Months that are shown beside each other."""

CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "transport": "Public transport",
        "groceries": "Groceries",
        "eating": "Eating out",
        "getting_around": "Getting around",
        "travel": "Travel",
        "shopping": "Shopping",
        "home": "Home and bills",
        "health": "Health",
        "leisure": "Leisure",
        "education": "Education",
        "public": "Public offices",
        "services": "Services",
        "shops": "Other shops",
        "people": "Sent to people",
    }
)
"""What money is spent on, with English names of the catalogues."""

ALL_SPENDING = "All spending"
"""What the budget of everything is called."""

OTHER_MONEY: Mapping[str, str] = MappingProxyType(
    {
        "received": "Received from people",
        "top_up": "Topped up",
        "withdrawal": "Taken out",
        "voucher": "Vouchers",
        "exchange": "Changed into another currency",
        "other": "Other",
    }
)
"""What is no spending."""

_CODES: tuple[tuple[int, int, str], ...] = (
    (742, 799, "services"),
    (1500, 2999, "home"),
    (3000, 3350, "travel"),
    (3351, 3500, "getting_around"),
    (3501, 3999, "travel"),
    (4000, 4199, "getting_around"),
    (4200, 4299, "services"),
    (4400, 4799, "travel"),
    (4784, 4784, "getting_around"),
    (4800, 4999, "home"),
    (5122, 5122, "health"),
    (5200, 5299, "home"),
    (5300, 5399, "shopping"),
    (5400, 5499, "groceries"),
    (5500, 5599, "getting_around"),
    (5600, 5699, "shopping"),
    (5700, 5799, "home"),
    (5811, 5814, "eating"),
    (5815, 5818, "leisure"),
    (5912, 5912, "health"),
    (5900, 5999, "shopping"),
    (6000, 6999, "services"),
    (7011, 7033, "travel"),
    (7200, 7399, "services"),
    (7512, 7549, "getting_around"),
    (7600, 7699, "services"),
    (7800, 7999, "leisure"),
    (8000, 8099, "health"),
    (8200, 8299, "education"),
    (8351, 8351, "education"),
    (8000, 8999, "services"),
    (9200, 9499, "public"),
)
"""Categories by merchant category codes, ISO 18245, both ends included; the narrowest range that fits counts."""

_OTHER: Mapping[MovementKind, str] = {
    MovementKind.TOP_UP: "top_up",
    MovementKind.TOP_UP_RETURNED: "top_up",
    MovementKind.RECEIVED: "received",
    MovementKind.WITHDRAWAL: "withdrawal",
    MovementKind.VOUCHER: "voucher",
    MovementKind.EXCHANGE: "exchange",
}

_BOUGHT = frozenset({MovementKind.PAYMENT, MovementKind.REFUND, MovementKind.EXCHANGE})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a wallet with what it was for. minor: what the wallet gained (+) or lost (-)."""

    at: datetime
    kind: MovementKind
    minor: int
    currency: str
    category: str
    payee: str
    reference: UUID
    balance_minor: int


@dataclass(frozen=True, slots=True)
class Row:
    """What a category came to: spent, less what was given back. before_minor: in the time it is compared with."""

    code: str
    name: str
    minor: int
    before_minor: int


@dataclass(frozen=True, slots=True)
class Payee:
    """Whom one paid, how much in all, how often."""

    name: str
    minor: int
    times: int


@dataclass(frozen=True, slots=True)
class Month:
    """A month of one's money in a currency, minor units.

    until: the instant up to which it counts: its end, or now. rows: spending, the largest first; other: what is no
    spending, signed as the wallet saw it. before_minor: spent in the month before, by the same day where this month is
    not over. opening, closing: what the wallet held. months: spent in each of six months, this one last.
    """

    first: date
    currency: str
    running: bool
    spent_minor: int
    before_minor: int
    rows: Sequence[Row]
    other: Sequence[Row]
    payees: Sequence[Payee]
    opening_minor: int
    closing_minor: int
    months: Sequence[tuple[date, int]]
    lines: Sequence[Line]


def category_of(code: str) -> str:
    """The category of a payee by its merchant category code; ``shops`` where it has none."""
    if not code.isdigit():
        return "shops"
    fit = [(last - first, name) for first, last, name in _CODES if first <= int(code) <= last]
    return min(fit)[1] if fit else "shops"


def month_before(first: date, months: int = 1) -> date:
    """The first day of the month so many before this one, or after it where ``months`` is below zero."""
    count = first.year * 12 + first.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)


def starts_at(first: date, zone: str) -> datetime:
    """The instant at which a day begins there."""
    return datetime.combine(first, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)


def read_month(
    tx: Tx, account_id: AccountId, first: date, *, currency: str, zone: str, now: datetime, partition: int = 0
) -> Month:
    """A person's month, in the months and days of a time zone. first: the month's first day."""
    begin, end = starts_at(first, zone), starts_at(month_before(first, -1), zone)
    oldest = starts_at(month_before(first, MONTHS - 1), zone)
    found = _lines(tx, account_id, oldest, end, currency, partition)
    lines = [one for one in found if one.at >= begin]
    running = begin <= now < end
    until = _same_time_before(now, first, zone) if running else begin
    compared = [one for one in found if starts_at(month_before(first), zone) <= one.at < until]
    spent, before = _spent(lines), _spent(compared)
    rows = [
        Row(code, name, spent.get(code, 0), before.get(code, 0))
        for code, name in CATEGORIES.items()
        if code in spent or code in before
    ]
    gained = _gained(lines)
    other = [Row(code, name, gained[code], 0) for code, name in OTHER_MONEY.items() if code in gained]
    closing = lines[0].balance_minor if lines else _held(tx, account_id, end, currency, partition)
    opening = lines[-1].balance_minor - lines[-1].minor if lines else closing
    return Month(
        first=first,
        currency=currency,
        running=running,
        spent_minor=sum(spent.values()),
        before_minor=sum(before.values()),
        rows=sorted(rows, key=lambda one: -one.minor),
        other=other,
        payees=_payees(lines),
        opening_minor=opening,
        closing_minor=closing,
        months=[(one, _spent_in(found, one, zone)) for one in _months(first)],
        lines=lines,
    )


def spent_in_month(
    tx: Tx, account_id: AccountId, first: date, *, currency: str, zone: str, partition: int = 0
) -> dict[str, int]:
    """What a person spent in a month by category, minor units, less what was given back. first: its first day."""
    begin, end = starts_at(first, zone), starts_at(month_before(first, -1), zone)
    return _spent(_lines(tx, account_id, begin, end, currency, partition))


def _same_time_before(now: datetime, first: date, zone: str) -> datetime:
    """The same day and time of the month before; its end, where it has no such day."""
    local = now.astimezone(ZoneInfo(zone))
    before = month_before(first)
    last = (first - timedelta(days=1)).day
    if local.day > last:
        return starts_at(first, zone)
    day = before.replace(day=local.day)
    return datetime.combine(day, local.time(), ZoneInfo(zone)).astimezone(UTC)


def _months(first: date) -> list[date]:
    return [month_before(first, ago) for ago in range(MONTHS - 1, -1, -1)]


def _spent_in(lines: Iterable[Line], first: date, zone: str) -> int:
    begin, end = starts_at(first, zone), starts_at(month_before(first, -1), zone)
    return sum(_spent([one for one in lines if begin <= one.at < end]).values())


def _spent(lines: Iterable[Line]) -> dict[str, int]:
    """What was spent in each category, less what was given back."""
    found: dict[str, int] = defaultdict(int)
    for one in lines:
        if one.category in CATEGORIES:
            found[one.category] -= one.minor
    return dict(found)


def _gained(lines: Iterable[Line]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for one in lines:
        if one.category not in CATEGORIES:
            found[one.category] += one.minor
    return dict(found)


def _payees(lines: Iterable[Line]) -> list[Payee]:
    minors: dict[str, int] = defaultdict(int)
    times: dict[str, int] = defaultdict(int)
    for one in lines:
        if one.category in CATEGORIES and one.payee:
            minors[one.payee] -= one.minor
            times[one.payee] += one.minor < 0
    largest = sorted(minors, key=lambda name: (-minors[name], name))[:PAYEES_SHOWN]
    return [Payee(name, minors[name], times[name]) for name in largest if minors[name] > 0]


# --- reading


def _lines(
    tx: Tx, account_id: AccountId, first_at: datetime, last_at: datetime, currency: str, partition: int
) -> list[Line]:
    """Lines that moved the wallet of this currency from an instant to before another, the newest first."""
    found: list[Movement] = []
    before: payments.Mark | None = (last_at, UUID(int=0))
    while before is not None and len(found) < LINES_MAX:
        some = payments.movements(tx, account_id, PAGE, before=before, partition=partition)
        found += [one for one in some if one.at >= first_at]
        over = len(some) < PAGE or some[-1].at < first_at
        before = None if over else some[-1].mark
    moved = [one for one in found if one.finished and one.amount.currency == currency]
    return _told(tx, account_id, moved, partition)


def _told(tx: Tx, account_id: AccountId, moved: Sequence[Movement], partition: int) -> list[Line]:
    """Lines with their categories and payees."""
    # What was paid in another currency left the wallet to be changed on its way: the payment is what it refers to.
    asked: list[tuple[int, UUID]] = sorted(
        {(partition, one.reference) for one in moved if one.kind in _BOUGHT}
    )
    payee_of = {one.payment_id: one.payee_id for one in payments.find_payments(tx, asked).values()}
    payees = payments.find_payees(tx, sorted(set(payee_of.values())))
    names = _receivers(tx, account_id, moved, partition)
    others = [one.reference for one in moved if one.kind is MovementKind.OTHER]
    fees = cards.find_fees(tx, others) if others else {}
    lines: list[Line] = []
    for one in moved:
        category, payee = _OTHER.get(one.kind, "other"), ""
        if one.kind in (MovementKind.FARE, MovementKind.CORRECTION) or one.reference in fees:
            category = "transport"
        elif one.kind is MovementKind.SENT or one.reference in names:
            category, payee = "people", names.get(one.reference, "")
        elif one.kind in (MovementKind.PAYMENT, MovementKind.REFUND) or one.reference in payee_of:
            paid = payees.get(payee_of.get(one.reference, ""))
            category = "shops" if paid is None else category_of(paid.category)
            payee = "" if paid is None else paid.name
        lines.append(
            Line(
                one.at,
                one.kind,
                one.amount.minor,
                one.amount.currency,
                category,
                payee,
                one.reference,
                one.balance.minor,
            )
        )
    return lines


def _receivers(tx: Tx, account_id: AccountId, moved: Sequence[Movement], partition: int) -> dict[UUID, str]:
    """The masked names of those whom transfers went to, by transfer."""
    if not any(one.kind in (MovementKind.SENT, MovementKind.EXCHANGE) for one in moved):
        return {}
    sent = wallets.own_data.sent(tx, account_id, partition)
    to = {one.transfer_id: AccountId(one.receiver_id) for one in sent if one.receiver_id is not None}
    accounts = identity.find_accounts(tx, sorted(set(to.values())))
    return {
        transfer_id: identity.masked_name(accounts[receiver].name)
        for transfer_id, receiver in to.items()
        if receiver in accounts
    }


def _held(tx: Tx, account_id: AccountId, at: datetime, currency: str, partition: int) -> int:
    """What the wallet held at an instant, by its last line before it."""
    before: payments.Mark | None = (at, UUID(int=0))
    while before is not None:
        some = payments.movements(tx, account_id, PAGE, before=before, partition=partition)
        for one in some:
            if one.finished and one.amount.currency == currency:
                return one.balance.minor
        before = some[-1].mark if len(some) == PAGE else None
    return 0
