"""Administration as Mojaloop's central ledger has it, on the hub's liquidity: participants, accounts, limits, funds.

A participant is a member of the league that takes part in payments. Its POSITION account tells the hub's position with
what is reserved, its SETTLEMENT account the cover, below zero as Mojaloop counts. What needs two persons at Hansa
needs them here too, unless the operator has chosen otherwise.
"""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from hansa import hub, trust
from hansa.apps.fspiop import settlements, signing, store, wire
from hansa.apps.fspiop.errors import Refused
from hansa.apps.fspiop.site import Site
from hansa.apps.fspiop.transfers import Amount
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, fact_id, new_id
from hansa.store import Tx

POSITION, SETTLEMENT = "POSITION", "SETTLEMENT"
HUB_KINDS = ("HUB_RECONCILIATION", "HUB_MULTILATERAL_SETTLEMENT")
DESK, SECOND = "league:fspiop", "league:fspiop-second"
"""Under whose names what needs two persons is done where the operator has chosen that one is enough."""

EMAILS = (
    "SETTLEMENT_TRANSFER_POSITION_CHANGE_EMAIL",
    "NET_DEBIT_CAP_ADJUSTMENT_EMAIL",
    "NET_DEBIT_CAP_THRESHOLD_BREACH_EMAIL",
)

Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]


class ParticipantBody(msgspec.Struct):
    """A participant that is to take part in a currency."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,29}\Z")]
    currency: Currency


class AccountBody(msgspec.Struct):
    """An account of the hub's own."""

    type: Annotated[str, msgspec.Meta(max_length=50)]
    currency: Currency


class EndpointBody(msgspec.Struct):
    """Where a participant wants to be called."""

    type: Annotated[str, msgspec.Meta(pattern=r"^[A-Z_]{1,80}\Z")]
    value: Annotated[str, msgspec.Meta(max_length=512)]


class Limit(msgspec.Struct, rename="camel"):
    """A cap. value: in whole units of the currency, with its decimals."""

    type: Annotated[str, msgspec.Meta(pattern=r"^NET_DEBIT_CAP\Z")]
    value: int | float | str
    alarm_percentage: int | float | str | None = None


class LimitBody(msgspec.Struct, rename="camel"):
    """A cap of a currency; at the beginning also a position, which is nothing."""

    currency: Currency
    limit: Limit
    initial_position: int | float = 0


class ActiveBody(msgspec.Struct, rename="camel"):
    """Whether something may be used."""

    is_active: bool


class FundsBody(msgspec.Struct, rename="camel"):
    """Funds on their way in, or out."""

    transfer_id: str
    action: Annotated[str, msgspec.Meta(pattern=r"^(recordFundsIn|recordFundsOutPrepareReserve)\Z")]
    reason: Annotated[str, msgspec.Meta(max_length=512)]
    amount: Amount
    external_reference: Annotated[str, msgspec.Meta(max_length=128)] = ""


class FundsEndBody(msgspec.Struct):
    """What becomes of funds on their way out."""

    action: Annotated[str, msgspec.Meta(pattern=r"^(recordFundsOutCommit|recordFundsOutAbort)\Z")]
    reason: Annotated[str, msgspec.Meta(max_length=512)]


class ModelBody(msgspec.Struct, rename="camel"):
    """How payments of a currency settle."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_]{1,50}\Z")]
    settlement_granularity: Annotated[str, msgspec.Meta(pattern=r"^(GROSS|NET)\Z")]
    settlement_interchange: Annotated[str, msgspec.Meta(pattern=r"^(BILATERAL|MULTILATERAL)\Z")]
    settlement_delay: Annotated[str, msgspec.Meta(pattern=r"^(IMMEDIATE|DEFERRED)\Z")]
    ledger_account_type: Annotated[str, msgspec.Meta(max_length=50)]
    settlement_account_type: Annotated[str, msgspec.Meta(max_length=50)] = SETTLEMENT
    currency: Currency | None = None
    require_liquidity_check: bool = True
    auto_position_reset: bool = True


class KeyBody(msgspec.Struct):
    """A public key with which a participant signs."""

    key: Annotated[str, msgspec.Meta(max_length=8_192)]


PARTICIPANT = msgspec.json.Decoder(ParticipantBody)
ACCOUNT = msgspec.json.Decoder(AccountBody)
ENDPOINT = msgspec.json.Decoder(EndpointBody)
LIMIT = msgspec.json.Decoder(LimitBody)
ACTIVE = msgspec.json.Decoder(ActiveBody)
FUNDS = msgspec.json.Decoder(FundsBody)
FUNDS_END = msgspec.json.Decoder(FundsEndBody)
MODEL = msgspec.json.Decoder(ModelBody)
KEY = msgspec.json.Decoder(KeyBody)


# --- participants


def add_participant(site: Site, data: ParticipantBody) -> dict[str, Any]:
    """Let a member take part in payments of a currency. Errors: Refused."""
    name, currency = data.name, data.currency
    _check_currency(currency)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        if not any(one.currency == currency for one in store.list_accounts(tx, wire.HUB)):
            raise Refused("3003", f"the hub has no accounts in {currency} yet; make them first")
        if any(one.currency == currency for one in store.list_accounts(tx, name)):
            raise Refused("3000", "Participant currency has already been registered")
        try:
            trust.get_member(tx, trust.MemberId(name))
        except trust.UnknownMember as error:
            if not site.choices.one_person:
                raise Refused(
                    "3000", f"{name} is no member; it applies, and two persons let it in"
                ) from error
            member = trust.MemberId(name)
            trust.add_members(tx, [trust.Member(member, name, "bank", None, member, name)])
    hub.open_liquidity(site.ctx, [(name, currency)])
    with site.ctx.tx() as tx:
        store.insert_member(tx, name, now)
        for kind in (POSITION, SETTLEMENT):
            store.insert_account(tx, name, currency, kind, now)
        return _participant(tx, _member(tx, name))


def list_participants(site: Site) -> list[dict[str, Any]]:
    """All participants, the hub first."""
    with site.ctx.tx() as tx:
        return [_participant(tx, one) for one in store.list_members(tx)]


def get_participant(site: Site, name: str) -> dict[str, Any]:
    """A participant. Errors: Refused."""
    with site.ctx.tx() as tx:
        return _participant(tx, _member(tx, name))


def set_participant(site: Site, name: str, data: ActiveBody) -> dict[str, Any]:
    """Let a participant speak here, or not; its standing in the league is another matter. Errors: Refused."""
    with site.ctx.tx() as tx:
        _member(tx, name)
        store.set_member(tx, name, is_active=data.is_active)
        return _participant(tx, _member(tx, name))


def add_key(site: Site, name: str, data: KeyBody) -> dict[str, Any]:
    """A key with which a participant signs from now on. Errors: Refused."""
    signing.read_public(data.key)

    key_id = sha256(data.key.strip().encode()).digest()
    with site.ctx.tx() as tx:
        _member(tx, name)
        store.insert_key(tx, name, key_id, data.key.strip(), site.ctx.clock.now())
    return {"keyId": key_id.hex()}


def revoke_key(site: Site, name: str, key_id: str) -> None:
    """What this key signs counts no longer. Errors: Refused."""
    with site.ctx.tx() as tx:
        _member(tx, name)
        try:
            was = store.revoke_key(tx, name, bytes.fromhex(key_id), site.ctx.clock.now())
        except ValueError:
            was = False
        if not was:
            raise Refused("3200", "there is no such key that counts")


# --- accounts


def add_account(site: Site, name: str, data: AccountBody) -> dict[str, Any]:
    """An account of the hub's own in a currency. Errors: Refused."""
    _check_currency(data.currency)
    if name != wire.HUB:
        raise Refused("3003", "Endpoint is reserved for creation of Hub account types only.")
    if data.type not in HUB_KINDS:
        raise Refused("3003", f"The type must be one of {', '.join(HUB_KINDS)}")
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        if not store.insert_account(tx, name, data.currency, data.type, now):
            raise Refused("3003", "Hub account has already been registered.")
        return _participant(tx, _member(tx, name))


def accounts(site: Site, name: str) -> list[dict[str, Any]]:
    """A participant's accounts and what stands on them. Errors: Refused."""
    with site.ctx.tx() as tx:
        _member(tx, name)
        return [
            {
                "id": one.account_id,
                "ledgerAccountType": one.kind,
                "currency": one.currency,
                "isActive": 1 if one.is_active else 0,
                "value": wire.number(value, one.currency),
                "reservedValue": wire.number(0, one.currency),
                "changedDate": wire.said(one.opened_at),
            }
            for one, value in _values(tx, name)
        ]


def set_account(site: Site, name: str, account_id: str, data: ActiveBody) -> None:
    """Let an account be used, or not; one of settlement always may be. Errors: Refused."""
    with site.ctx.tx() as tx:
        account = _account(tx, name, account_id)
        if account.kind != POSITION:
            raise Refused("3000", "Only position account update is permitted")
        store.set_account(tx, account.account_id, is_active=data.is_active)


def positions(site: Site, name: str, currency: str | None) -> Any:
    """What a participant owes, with what is reserved; below zero it is owed. Errors: Refused."""
    with site.ctx.tx() as tx:
        _member(tx, name)
        found = [
            {
                "currency": one.currency,
                "value": wire.number(value, one.currency),
                "changedDate": wire.said(one.opened_at),
            }
            for one, value in _values(tx, name)
            if one.kind == POSITION and currency in (None, one.currency)
        ]
    if currency is None:
        return found
    return found[0] if found else {}


def _values(tx: Tx, name: str) -> list[tuple[store.AccountRow, int]]:
    rows = store.list_accounts(tx, name)
    held: dict[tuple[str, str], int] = {}  # what is to leave counts as gone, as at Mojaloop
    for funds in hub.list_funds(tx, None if name == wire.HUB else name, under_way=True, limit=10_000):
        if funds.way == "out":
            key = (funds.member_id, funds.currency)
            held[key] = held.get(key, 0) + funds.amount_minor
    if name == wire.HUB:
        covers: dict[str, int] = {}
        for line in hub.list_liquidity(tx):
            cover = line.cover_minor - held.get((line.member_id, line.currency), 0)
            covers[line.currency] = covers.get(line.currency, 0) + cover
        return [(one, covers.get(one.currency, 0) if one.kind == "HUB_RECONCILIATION" else 0) for one in rows]
    lines = {line.currency: line for line in hub.list_liquidity(tx, name)}
    return [(one, _value(one.kind, lines[one.currency], held.get((name, one.currency), 0))) for one in rows]


def _value(kind: str, line: hub.Liquidity, held_minor: int) -> int:
    if kind == SETTLEMENT:
        return held_minor - line.cover_minor
    return line.position_minor + line.reserved_minor


# --- limits


def set_first_limit(site: Site, name: str, data: LimitBody) -> None:
    """The first cap of a participant in a currency. Errors: Refused."""
    if data.initial_position:
        raise Refused("3100", "initialPosition must be 0: a position comes of payments alone", status=500)
    with site.ctx.tx() as tx:
        _member(tx, name)
        if hub.list_caps(tx, name, data.currency, limit=1):
            raise Refused("2001", "Participant Limit or Initial Position already set")
    _set_limit(site, name, data, cap_id=fact_id(None, "fspiop.first_limit", name, data.currency))


def set_limit(site: Site, name: str, data: LimitBody) -> dict[str, Any]:
    """Another cap, from now on. Errors: Refused."""
    with site.ctx.tx() as tx:
        _member(tx, name)
    cap = _set_limit(site, name, data, cap_id=new_id())
    return {"currency": cap.currency, "limit": _limit(cap.cap_minor, cap.currency, cap.warn_percent)}


def limits(site: Site, name: str | None, currency: str | None) -> list[dict[str, Any]]:
    """Caps of a participant, or of all. Errors: Refused."""
    with site.ctx.tx() as tx:
        if name is not None:
            _member(tx, name)
        lines = hub.list_liquidity(tx, name, currency)
        ours = {one.member_id for one in store.list_members(tx)}
    return [
        ({} if name is not None else {"name": one.member_id})
        | {"currency": one.currency, "limit": _limit(one.cap_minor, one.currency, one.warn_percent)}
        for one in lines
        if one.member_id in ours
    ]


def _set_limit(site: Site, name: str, data: LimitBody, *, cap_id: Any) -> hub.Cap:
    percent = data.limit.alarm_percentage
    try:
        cap = wire.read_amount(_plain(data.limit.value), data.currency)
        warn = 80 if percent in (None, "undefined", "") else int(float(str(percent)))
    except ValueError as error:
        raise Refused("3101", "alarmPercentage must be a number") from error
    return hub.set_cap(
        site.ctx,
        cap_id=cap_id,
        member_id=name,
        currency=data.currency,
        cap_minor=cap.minor,
        by=DESK,
        warn_percent=warn,
    )


def _limit(minor: int, currency: str, warn: int) -> dict[str, Any]:
    return {"type": "NET_DEBIT_CAP", "value": wire.number(minor, currency), "alarmPercentage": warn}


# --- funds


def record_funds(site: Site, name: str, account_id: str, data: FundsBody) -> None:
    """Funds came in, or are to leave. With two persons, what came in counts once another has booked it.

    Errors: Refused.
    """
    funds_id = wire.check_id(data.transfer_id, "transferId")
    with site.ctx.tx() as tx:
        account = _account(tx, name, account_id)
    if account.kind != SETTLEMENT:
        raise Refused("3100", "Account is not of type SETTLEMENT")
    if account.currency != data.amount.currency:
        raise Refused("3100", "Currency does not match the account")
    amount = wire.read_amount(data.amount.amount, data.amount.currency)
    is_in = data.action == "recordFundsIn"
    hub.propose_funds(
        site.ctx,
        funds_id=funds_id,
        member_id=name,
        currency=account.currency,
        way="in" if is_in else "out",
        amount_minor=amount.minor,
        bank_reference=data.external_reference or data.reason or "none given",
        by=DESK,
    )
    if is_in and site.choices.one_person:
        hub.confirm_funds(site.ctx, funds_id, by=SECOND)


def end_funds(site: Site, name: str, account_id: str, transfer_id: str, data: FundsEndBody) -> None:
    """Funds leave, or stay. Errors: Refused."""
    funds_id = wire.check_id(transfer_id, "transferId")
    with site.ctx.tx() as tx:
        account = _account(tx, name, account_id)
        funds = hub.get_funds(tx, funds_id)
    if (funds.member_id, funds.currency) != (name, account.currency):
        raise Refused("3200", "there are no such funds of this account")
    if data.action == "recordFundsOutAbort":
        hub.refuse_funds(site.ctx, funds_id, by=DESK)
    elif site.choices.one_person:
        hub.confirm_funds(site.ctx, funds_id, by=SECOND)
    else:
        raise Refused("3000", "a second person books what leaves, at the desk of liquidity")


# --- endpoints


def set_endpoint(site: Site, name: str, data: EndpointBody) -> None:
    """Where a participant wants to be called, or written to. Errors: Refused."""
    if data.type not in EMAILS and not data.value.startswith(("http://", "https://")):
        raise Refused("3101", "value must be an address of HTTP")
    with site.ctx.tx() as tx:
        _member(tx, name)
        store.set_endpoint(tx, name, data.type, data.value, site.ctx.clock.now())


def endpoints(site: Site, name: str, kind: str | None) -> Any:
    """A participant's endpoints, or the one of a kind. Errors: Refused."""
    with site.ctx.tx() as tx:
        _member(tx, name)
        found = store.endpoints(tx, name)
    if kind is not None:
        return {"type": kind, "value": found[kind]} if kind in found else {}
    return [{"type": key, "value": value} for key, value in found.items()]


# --- settlement models


def add_model(site: Site, data: ModelBody) -> dict[str, Any]:
    """How payments of a currency settle: net and deferred by windows, or gross and at once. Errors: Refused."""
    how = (data.settlement_granularity, data.settlement_delay)
    if how not in (("NET", "DEFERRED"), ("GROSS", "IMMEDIATE")) or data.ledger_account_type != POSITION:
        raise Refused(
            "2002", "payments settle NET and DEFERRED, or GROSS and IMMEDIATE, by POSITION", status=400
        )
    if data.currency is not None:
        _check_currency(data.currency)
    body = msgspec.to_builtins(data)
    row = store.ModelRow(
        data.name,
        data.currency,
        data.settlement_granularity,
        data.settlement_interchange,
        data.settlement_delay,
        body,
    )
    with site.ctx.tx() as tx:
        known = store.list_models(tx)
    if any(one.name == data.name or one.currency == data.currency for one in known):
        raise Refused("3000", "Settlement Model already exists")
    if data.currency is not None:
        model = "gross" if data.settlement_granularity == "GROSS" else "deferred"
        hub.set_model(site.ctx, data.currency, model, by=DESK)
    elif data.settlement_granularity == "GROSS":
        raise Refused("2002", "name the currency that settles gross; all others are deferred", status=400)
    with site.ctx.tx() as tx:
        if not store.insert_model(tx, row, site.ctx.clock.now()):
            raise Refused("3000", "Settlement Model already exists")
    return body


def list_models(site: Site) -> list[dict[str, Any]]:
    """All settlement models."""
    with site.ctx.tx() as tx:
        return [one.body | {"isActive": True} for one in store.list_models(tx)]


def get_model(site: Site, name: str) -> dict[str, Any]:
    """A settlement model. Errors: Refused."""
    for one in list_models(site):
        if one["name"] == name:
            return one
    raise Refused("3200", "there is no such settlement model")


# --- health


def health(site: Site, started: Any) -> dict[str, Any]:
    """How this process is. Whether the database answers is asked of it."""
    try:
        with site.ctx.tx() as tx:
            store.count_calls(tx)
        store_status = "OK"
    except HansaError:
        store_status = "DOWN"
    now = site.ctx.clock.now()
    return {
        "status": store_status,
        "uptime": (now - started) / timedelta(seconds=1),
        "startTime": wire.said(started),
        "versionNumber": "1",
        "services": [{"name": name, "status": store_status} for name in ("datastore", "broker")],
    }


# --- words


def _participant(tx: Tx, row: store.MemberRow) -> dict[str, Any]:
    return {
        "name": row.member_id,
        "id": f"/participants/{row.member_id}",
        "created": wire.said(row.opened_at),
        "isActive": 1 if row.is_active else 0,
        "links": {"self": f"/participants/{row.member_id}"},
        "accounts": [
            {
                "id": one.account_id,
                "ledgerAccountType": one.kind,
                "currency": one.currency,
                "isActive": 1 if one.is_active else 0,
                "createdDate": wire.said(one.opened_at),
                "createdBy": "hansa",
            }
            for one in store.list_accounts(tx, row.member_id)
        ],
        "isProxy": 0,
    }


def _member(tx: Tx, name: str) -> store.MemberRow:
    found = store.list_members(tx, name)
    if not found:
        raise Refused("3200", "The requested resource could not be found.")
    return found[0]


def _account(tx: Tx, name: str, account_id: str) -> store.AccountRow:
    _member(tx, name)
    for one in store.list_accounts(tx, name):
        if str(one.account_id) == account_id:
            return one
    raise Refused("3200", "The participant has no such account.")


def _check_currency(currency: str) -> None:
    if currency not in CURRENCY_EXPONENTS:
        raise Refused("3101", f"{currency} is no active currency code of ISO 4217")


def _plain(value: float | str) -> str:
    """A number as FSPIOP writes it."""
    text = f"{value:f}" if isinstance(value, float) else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def open_desk(site: Site) -> None:
    """The hub as a participant, and the first window; again is harmless."""
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        store.insert_member(tx, wire.HUB, now)
        settlements.open_window(tx, now)


Query = Mapping[str, str]
