"""Settlement of payments between members as Mojaloop's settlement-v2 has it, on the hub's positions.

A window is what was paid while it was open. Closing it reads positions, so it costs as much for a million payments as
for one: its net for a member is what the member's position has come to beyond the windows that are closed and not yet
released. A settlement takes closed windows along; it goes through its states account by account, and the hub releases
what a creditor is owed when that is reserved, and what a debtor owes when that is committed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from psycopg.rows import class_row

from hansa import hub
from hansa.apps.fspiop import store, wire
from hansa.apps.fspiop.errors import Refused
from hansa.apps.fspiop.site import Site
from hansa.store import Tx

STATES = (
    "PENDING_SETTLEMENT",
    "PS_TRANSFERS_RECORDED",
    "PS_TRANSFERS_RESERVED",
    "PS_TRANSFERS_COMMITTED",
    "SETTLED",
)
"""An account of a settlement goes through these, one after the other."""

WINDOW_STATES = ("OPEN", "CLOSED", "PENDING_SETTLEMENT", "SETTLED", "ABORTED")

LOCK = "select one from fspiop.desk for no key update"
OPEN_WINDOW = """
insert into fspiop.windows (state, opened_at, changed_at) values ('OPEN', %(at)s, %(at)s)
on conflict ((state)) where state = 'OPEN' do nothing
"""
WINDOWS = """
select window_id, state, reason, opened_at, changed_at from fspiop.windows w
where (window_id = %(window_id)s or %(window_id)s::integer is null)
  and (state = %(state)s or %(state)s::text is null)
  and (%(settlement_id)s::integer is null or exists (
    select from fspiop.nets n where n.window_id = w.window_id and n.settlement_id = %(settlement_id)s))
order by window_id
"""
SET_WINDOW = "update fspiop.windows set state = %s, reason = %s, changed_at = %s where window_id = %s"
SET_WINDOWS = "update fspiop.windows set state = %s, changed_at = %s where window_id = any(%s)"
INSERT_NETS = """
insert into fspiop.nets (window_id, account_id, member_id, currency, net_minor)
select * from unnest(%s::integer[], %s::integer[], %s::text[], %s::text[], %s::bigint[])
"""
OUTSTANDING = """
select n.member_id, n.currency, sum(n.net_minor)::bigint from fspiop.nets n
left join fspiop.settlement_accounts a using (settlement_id, account_id)
where coalesce(not a.is_released, true) group by n.member_id, n.currency
"""
NETS_TO_SETTLE = """
select account_id, member_id, currency, sum(net_minor)::bigint from fspiop.nets
where window_id = any(%s) and settlement_id is null and currency = any(%s)
group by account_id, member_id, currency order by account_id
"""
TAKE_NETS = """
update fspiop.nets set settlement_id = %s where window_id = any(%s) and settlement_id is null and currency = any(%s)
"""
INSERT_SETTLEMENT = """
insert into fspiop.settlements (model, state, reason, made_at, changed_at) values (%s, %s, %s, %s, %s)
returning settlement_id
"""
INSERT_LINES = """
insert into fspiop.settlement_accounts
    (settlement_id, account_id, member_id, currency, net_minor, state, changed_at)
select * from unnest(%s::integer[], %s::integer[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::timestamptz[])
"""
SETTLEMENTS = """
select settlement_id, model, state, reason, made_at, changed_at from fspiop.settlements
where (settlement_id = %(settlement_id)s or %(settlement_id)s::integer is null)
  and (state = %(state)s or %(state)s::text is null)
order by settlement_id
"""
SET_SETTLEMENT = "update fspiop.settlements set state = %s, changed_at = %s where settlement_id = %s"
LINES = """
select a.settlement_id, a.account_id, m.number, a.member_id, a.currency, a.net_minor, a.state, a.reason,
    a.external_reference, a.is_released, a.changed_at
from fspiop.settlement_accounts a join fspiop.members m using (member_id)
where a.settlement_id = %s order by m.number, a.account_id
"""
SET_LINE = """
update fspiop.settlement_accounts set state = %s, reason = %s, external_reference = %s, changed_at = %s
where settlement_id = %s and account_id = %s
"""
TO_RELEASE = """
select a.settlement_id, a.account_id, m.number, a.member_id, a.currency, a.net_minor, a.state, a.reason,
    a.external_reference, a.is_released, a.changed_at
from fspiop.settlement_accounts a join fspiop.members m using (member_id)
where not a.is_released and (
    (a.net_minor <= 0 and a.state in ('PS_TRANSFERS_RESERVED', 'PS_TRANSFERS_COMMITTED', 'SETTLED'))
    or (a.net_minor > 0 and a.state in ('PS_TRANSFERS_COMMITTED', 'SETTLED')))
order by a.settlement_id, a.account_id
"""
MARK_RELEASED = """
update fspiop.settlement_accounts set is_released = true where settlement_id = %s and account_id = %s
"""


@dataclass(frozen=True, slots=True)
class Window:
    """A settlement window."""

    window_id: int
    state: str
    reason: str
    opened_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settlement of windows by a model."""

    settlement_id: int
    model: str
    state: str
    reason: str
    made_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """What a settlement comes to for an account. net_minor: above zero it pays, below it is paid."""

    settlement_id: int
    account_id: int
    number: int
    member_id: str
    currency: str
    net_minor: int
    state: str
    reason: str
    external_reference: str
    is_released: bool
    changed_at: datetime


class CloseBody(msgspec.Struct):
    """A window that is to be closed."""

    state: Annotated[str, msgspec.Meta(pattern=r"^CLOSED\Z")]
    reason: Annotated[str, msgspec.Meta(max_length=512)]


class WindowName(msgspec.Struct):
    """A window."""

    id: int


class SettleBody(msgspec.Struct, rename="camel"):
    """Windows that are to be settled."""

    settlement_model: Annotated[str, msgspec.Meta(max_length=50)]
    reason: Annotated[str, msgspec.Meta(max_length=512)]
    settlement_windows: Annotated[list[WindowName], msgspec.Meta(min_length=1, max_length=1_000)]


class AccountStep(msgspec.Struct, rename="camel"):
    """An account that goes on to a state."""

    state: Annotated[str, msgspec.Meta(pattern=r"^[A-Z_]{1,40}\Z")]
    reason: Annotated[str, msgspec.Meta(max_length=512)] = ""
    external_reference: Annotated[str, msgspec.Meta(max_length=128)] = ""
    id: int = 0


class ParticipantSteps(msgspec.Struct):
    """Accounts of a participant that go on."""

    accounts: list[AccountStep]
    id: int = 0


class StepsBody(msgspec.Struct):
    """Accounts of participants that go on."""

    participants: list[ParticipantSteps]


# Numbers that come as text are numbers too: Mojaloop takes them so.
CLOSE = msgspec.json.Decoder(CloseBody)
SETTLE = msgspec.json.Decoder(SettleBody, strict=False)
STEPS = msgspec.json.Decoder(StepsBody, strict=False)
PARTICIPANT_STEPS = msgspec.json.Decoder(ParticipantSteps, strict=False)
ACCOUNT_STEP = msgspec.json.Decoder(AccountStep, strict=False)


# --- windows


def open_window(tx: Tx, at: datetime) -> None:
    """Have a window open; again is harmless."""
    tx.execute(OPEN_WINDOW, {"at": at})


def list_windows(site: Site, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Windows, of a state if one is named. Errors: Refused."""
    state = query.get("state")
    if state is not None and state not in WINDOW_STATES:
        raise Refused("3101", f"state must be one of {', '.join(WINDOW_STATES)}")
    for name in ("participantId", "fromDateTime", "toDateTime", "currency"):
        if name == "participantId" and not query.get(name, "1").isdigit():
            raise Refused("3101", "participantId must be a number")
    with site.ctx.tx() as tx:
        return [_window(one) for one in _windows(tx, state=state)]


def get_window(site: Site, window_id: str) -> dict[str, Any]:
    """A window. Errors: Refused."""
    with site.ctx.tx() as tx:
        return _window(_get_window(tx, window_id))


def close_window(site: Site, window_id: str, data: CloseBody) -> dict[str, Any]:
    """Close the open window and open the next, which is given; payments go on meanwhile. Errors: Refused."""
    number = _number(window_id, "settlement window")
    with site.ctx.tx() as tx:
        tx.execute(LOCK)
        release_due(site)  # a position that a crash left half released would count twice
        window = _get_window(tx, window_id)
        if window.state != "OPEN":
            raise Refused("3100", f"Window {number} is not open")
        now = site.ctx.clock.now()
        accounts = {
            (one.member_id, one.currency): one.account_id
            for one in store.list_accounts(tx)
            if one.kind == "POSITION"
        }
        nets = _nets(site, tx)
        rows = [(number, accounts[key], *key, net) for key, net in sorted(nets.items()) if net]
        if not rows:
            raise Refused("3100", f"Window {number} is empty")
        tx.execute(INSERT_NETS, tuple(list(column) for column in zip(*rows, strict=True)))
        tx.execute(SET_WINDOW, ("CLOSED", data.reason, now, number))
        open_window(tx, now)
        return _window(_windows(tx, state="OPEN")[0])


def _nets(site: Site, tx: Tx) -> dict[tuple[str, str], int]:
    """What each participant's position has come to beyond what closed windows hold; sums to zero by currency."""
    outstanding = {(str(row[0]), str(row[1])): int(row[2]) for row in tx.execute(OUTSTANDING).fetchall()}
    ours = {(one.member_id, one.currency) for one in store.list_accounts(tx) if one.kind == "POSITION"}
    with (
        site.ctx.tx() as other
    ):  # one statement reads all balances, so payments under way are in it whole or not at all
        lines = hub.list_liquidity(other)
    nets = {
        key: line.position_minor - outstanding.get(key, 0)
        for line in lines
        if (key := (line.member_id, line.currency)) in ours
    }
    for currency in {key[1] for key in nets}:
        total = sum(net for key, net in nets.items() if key[1] == currency)
        if total:
            raise Refused("2003", f"positions in {currency} do not sum to zero: some are paid by other doors")
    return nets


# --- settlements


def settle(site: Site, data: SettleBody) -> dict[str, Any]:
    """Begin the settlement of closed windows by a model. Errors: Refused."""
    numbers = sorted({one.id for one in data.settlement_windows})
    with site.ctx.tx() as tx:
        tx.execute(LOCK)
        models = store.list_models(tx)
        model = next((one for one in models if one.name == data.settlement_model), None)
        if model is None:
            raise Refused("3100", f"there is no settlement model {data.settlement_model}"[:100])
        for number in numbers:
            window = _get_window(tx, str(number))
            if window.state not in ("CLOSED", "PENDING_SETTLEMENT"):
                raise Refused("3100", f"Window {number} is {window.state}; close it first")
        own = {one.currency for one in models if one.currency is not None}
        currencies = (
            sorted({one.currency for one in store.list_accounts(tx)} - own)
            if model.currency is None
            else [model.currency]
        )
        elsewhere = [one for one in currencies if hub.clears_in_windows(tx, one)]
        if elsewhere:
            raise Refused("3100", f"Payments in {', '.join(elsewhere)} clear in clearing's windows"[:100])
        nets = tx.execute(NETS_TO_SETTLE, (numbers, currencies)).fetchall()
        if not nets:
            raise Refused(
                "3100", f"Windows {', '.join(map(str, numbers))} hold nothing to settle by {model.name}"[:100]
            )
        now = site.ctx.clock.now()
        values = (model.name, STATES[0], data.reason, now, now)
        made = tx.execute(INSERT_SETTLEMENT, values).fetchone()
        assert made is not None, "it was made"
        settlement_id = int(made[0])
        tx.execute(TAKE_NETS, (settlement_id, numbers, currencies))
        tx.execute(
            INSERT_LINES,
            (
                [settlement_id] * len(nets),
                [row[0] for row in nets],
                [row[1] for row in nets],
                [row[2] for row in nets],
                [row[3] for row in nets],
                [STATES[0]] * len(nets),
                [now] * len(nets),
            ),
        )
        tx.execute(SET_WINDOWS, ("PENDING_SETTLEMENT", now, numbers))
        return _told(tx, _get_settlement(tx, str(settlement_id)))


def list_settlements(site: Site, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Settlements, of a state if one is named."""
    with site.ctx.tx() as tx:
        return [_told(tx, one) for one in _settlements(tx, state=query.get("state"))]


def get_settlement(
    site: Site, settlement_id: str, participant_id: str | None = None, account_id: str | None = None
) -> dict[str, Any]:
    """A settlement; of one participant, or of one account. Errors: Refused."""
    with site.ctx.tx() as tx:
        told = _told(tx, _get_settlement(tx, settlement_id))
    for wanted, what in ((participant_id, "participants"), (account_id, "accounts")):
        if wanted is None:
            break
        within = told if what == "participants" else told["participants"][0]
        within[what] = [one for one in within[what] if str(one["id"]) == wanted]
        if not within[what]:
            raise Refused("3100", f"the settlement has no such {what[:-1]}")
    return told


def move_on(site: Site, settlement_id: str, data: StepsBody) -> dict[str, Any]:
    """Let accounts of a settlement go on, each to its next state or the same again. Errors: Refused."""
    with site.ctx.tx() as tx:
        tx.execute(LOCK)
        settlement = _get_settlement(tx, settlement_id)
        lines = {line.account_id: line for line in _lines(tx, settlement.settlement_id)}
        now = site.ctx.clock.now()
        for participant in data.participants:
            for step in participant.accounts:
                line = lines.get(step.id)
                if line is None or participant.id not in (0, line.number):
                    raise Refused(
                        "3100", f"the settlement has no account {step.id} of participant {participant.id}"
                    )
                if step.state not in STATES:
                    raise Refused("3101", f"state must be one of {', '.join(STATES)}"[:100])
                before, after = STATES.index(line.state), STATES.index(step.state)
                if after not in (before, before + 1):
                    raise Refused("3100", f"account {step.id} is {line.state}, it cannot become {step.state}")
                values = (step.state, step.reason, step.external_reference, now)
                tx.execute(SET_LINE, (*values, settlement.settlement_id, step.id))
    release_due(site)
    with site.ctx.tx() as tx:
        tx.execute(LOCK)
        _settle_whole(tx, settlement.settlement_id, site.ctx.clock.now())
        return _told(tx, _get_settlement(tx, settlement_id))


def move_participant_on(
    site: Site, settlement_id: str, participant_id: str, data: ParticipantSteps
) -> dict[str, Any]:
    """As ``move_on``, for the accounts of one participant."""
    steps = ParticipantSteps(data.accounts, _number(participant_id, "participant"))
    return move_on(site, settlement_id, StepsBody([steps]))


def move_account_on(
    site: Site, settlement_id: str, participant_id: str, account_id: str, data: AccountStep
) -> dict[str, Any]:
    """As ``move_on``, for one account."""
    step = AccountStep(data.state, data.reason, data.external_reference, _number(account_id, "account"))
    return move_participant_on(site, settlement_id, participant_id, ParticipantSteps([step]))


def release_due(site: Site) -> int:
    """Release what accounts have come so far with; again is harmless, and ends what a crash left."""
    with site.ctx.tx() as tx, tx.cursor(row_factory=class_row(Line)) as cursor:
        due = cursor.execute(TO_RELEASE).fetchall()
    for line in due:
        window_id = f"fspiop-{line.settlement_id}"
        if line.net_minor:
            hub.release(site.ctx, window_id, line.member_id, line.currency, line.net_minor)
        with site.ctx.tx() as tx:
            tx.execute(MARK_RELEASED, (line.settlement_id, line.account_id))
    return len(due)


def _settle_whole(tx: Tx, settlement_id: int, at: datetime) -> None:
    """The state of a settlement and its windows follow those of its accounts."""
    lines = _lines(tx, settlement_id)
    least = min(STATES.index(line.state) for line in lines)
    state = STATES[least]
    if state == STATES[3] and any(line.state == "SETTLED" for line in lines):
        state = "SETTLING"
    tx.execute(SET_SETTLEMENT, (state, at, settlement_id))
    if state == "SETTLED":
        windows = [one.window_id for one in _windows(tx, settlement_id=settlement_id)]
        tx.execute(SET_WINDOWS, ("SETTLED", at, windows))


# --- words


def _windows(
    tx: Tx, *, window_id: int | None = None, state: str | None = None, settlement_id: int | None = None
) -> list[Window]:
    values = {"window_id": window_id, "state": state, "settlement_id": settlement_id}
    with tx.cursor(row_factory=class_row(Window)) as cursor:
        return cursor.execute(WINDOWS, values).fetchall()


def _get_window(tx: Tx, window_id: str) -> Window:
    found = _windows(tx, window_id=_number(window_id, "settlement window"))
    if not found:
        raise Refused("3100", f"there is no settlement window {window_id}"[:100])
    return found[0]


def _settlements(
    tx: Tx, *, settlement_id: int | None = None, state: str | None = None
) -> Sequence[Settlement]:
    with tx.cursor(row_factory=class_row(Settlement)) as cursor:
        return cursor.execute(SETTLEMENTS, {"settlement_id": settlement_id, "state": state}).fetchall()


def _get_settlement(tx: Tx, settlement_id: str) -> Settlement:
    found = _settlements(tx, settlement_id=_number(settlement_id, "settlement"))
    if not found:
        raise Refused("3100", f"there is no settlement {settlement_id}"[:100])
    return found[0]


def _lines(tx: Tx, settlement_id: int) -> list[Line]:
    with tx.cursor(row_factory=class_row(Line)) as cursor:
        return cursor.execute(LINES, (settlement_id,)).fetchall()


def _window(one: Window) -> dict[str, Any]:
    return {
        "settlementWindowId": one.window_id,
        "id": one.window_id,
        "state": one.state,
        "reason": one.reason,
        "createdDate": wire.said(one.opened_at),
        "changedDate": wire.said(one.changed_at),
    }


def _told(tx: Tx, one: Settlement) -> dict[str, Any]:
    participants: dict[int, list[dict[str, Any]]] = {}
    for line in _lines(tx, one.settlement_id):
        participants.setdefault(line.number, []).append(
            {
                "id": line.account_id,
                "state": line.state,
                "reason": line.reason,
                "externalReference": line.external_reference,
                "netSettlementAmount": {
                    "amount": wire.number(line.net_minor, line.currency),
                    "currency": line.currency,
                },
            }
        )
    return {
        "id": one.settlement_id,
        "state": one.state,
        "settlementModel": one.model,
        "reason": one.reason,
        "createdDate": wire.said(one.made_at),
        "changedDate": wire.said(one.changed_at),
        "settlementWindows": [_window(window) for window in _windows(tx, settlement_id=one.settlement_id)],
        "participants": [{"id": number, "accounts": rows} for number, rows in participants.items()],
    }


def _number(text: str, what: str) -> int:
    if not text.isdigit() or len(text) > 9:
        raise Refused("3101", f"the id of a {what} is a number")
    return int(text)
