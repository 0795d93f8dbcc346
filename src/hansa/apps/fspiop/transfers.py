"""Transfers: prepared by the payer, fulfilled or refused by the payee, asked after by either.

A request is kept before it is answered 202; then the hub takes it in, and what comes of it is told by the hub's
notices, which become calls here. What the hub takes nothing of is told by a call of our own.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import msgspec

from hansa import hub
from hansa.apps.fspiop import store, wire
from hansa.apps.fspiop.errors import NAMES, Refused, error_body, told_by_hub
from hansa.apps.fspiop.site import Site
from hansa.kernel import HansaError
from hansa.store import Tx

CLOCK_SKEW = timedelta(seconds=5)
"""How far a payee's clock may be ahead of ours in what it says about when it was done."""

_WORDS = re.compile(r"(\d{4}): (.*)", re.DOTALL)

Message = tuple[str, str, dict[str, str], bytes]
"""Method, path, headers and body of a call."""


class Amount(msgspec.Struct):
    """An amount as it is written."""

    amount: Annotated[str, msgspec.Meta(max_length=32)]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]


class PrepareBody(msgspec.Struct, rename="camel"):
    """What a payer asks for."""

    transfer_id: str
    payer_fsp: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    payee_fsp: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    amount: Amount
    ilp_packet: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+[=]{0,2}\Z", max_length=32_768)]
    condition: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]
    expiration: Annotated[str, msgspec.Meta(max_length=40)]


class FulfilBody(msgspec.Struct, rename="camel"):
    """What a payee answers."""

    transfer_state: Annotated[str, msgspec.Meta(pattern=r"^(RECEIVED|RESERVED|COMMITTED|ABORTED|SETTLED)\Z")]
    fulfilment: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")] | None = None
    completed_timestamp: Annotated[str, msgspec.Meta(max_length=40)] | None = None


class ErrorInformation(msgspec.Struct, rename="camel"):
    """Why something went wrong."""

    error_code: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{3}\Z")]
    error_description: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class ErrorBody(msgspec.Struct, rename="camel"):
    """A payee's refusal."""

    error_information: ErrorInformation


PREPARE = msgspec.json.Decoder(PrepareBody)
FULFIL = msgspec.json.Decoder(FulfilBody)
ERROR = msgspec.json.Decoder(ErrorBody)


def name_of(row: store.TransferRow) -> str:
    """A transfer's id as its payer wrote it."""
    return PREPARE.decode(row.body).transfer_id


# --- prepare


def prepare(site: Site, headers: Mapping[str, str], body: bytes, data: PrepareBody) -> None:
    """Keep a transfer, to be answered 202; the rest follows. Errors: Refused."""
    transfer_id = wire.check_id(data.transfer_id, "transferId")
    if data.payer_fsp != headers["fspiop-source"]:
        raise Refused("3100", "FSPIOP-Source must be the payerFsp")
    destination = headers.get("fspiop-destination")
    if destination is not None and destination != data.payee_fsp:
        raise Refused("3100", "FSPIOP-Destination must be the payeeFsp")
    wire.read_amount(data.amount.amount, data.amount.currency)
    wire.instant(data.expiration, "expiration")
    forwarded = wire.headers_to_forward(headers, with_accept=True)
    forwarded["fspiop-destination"] = data.payee_fsp
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        is_new = store.insert_transfer(
            tx,
            transfer_id,
            (data.payer_fsp, data.payee_fsp),
            sha256(body).digest(),
            forwarded,
            body,
            now,
        )
        kept = store.find_transfers(tx, [transfer_id])[transfer_id]
    site.later(lambda: _again(site, kept, forwarded, body) if not is_new else take(site, kept))


def take(site: Site, row: store.TransferRow) -> None:
    """Let the hub take in what was kept; again is harmless."""
    data = PREPARE.decode(row.body)
    try:
        with site.ctx.tx() as tx:
            may = store.may_pay(tx, [row.payer_id, row.payee_id], data.amount.currency)
        for member in (row.payer_id, row.payee_id):
            if member not in may:
                raise Refused("3100", f"Participant {member} or its account is inactive")
        asked = hub.Prepare(
            row.transfer_id,
            row.payer_id,
            row.payee_id,
            wire.read_amount(data.amount.amount, data.amount.currency),
            _bytes(data.condition),
            wire.instant(data.expiration, "expiration"),
            data.ilp_packet,
        )
        site.intake.submit(asked, lambda answer: site.later(lambda: _prepared(site, row, answer)))
    except Refused as refused:
        _refuse_prepare(site, row, refused)
    except hub.HubBusy:
        site.later(lambda: None)  # the next turn takes it


def _prepared(site: Site, row: store.TransferRow, answer: hub.Answer | BaseException) -> None:
    if isinstance(answer, HansaError):
        if answer.status < 500:
            _refuse_prepare(site, row, told_by_hub(answer))
        return  # else it stays to be taken
    if isinstance(answer, BaseException):
        raise answer
    with site.ctx.tx() as tx:
        store.mark_taken(tx, row.transfer_id, None, site.ctx.clock.now())
    site.wake_notices()


def _refuse_prepare(site: Site, row: store.TransferRow, refused: Refused) -> None:
    with site.ctx.tx() as tx:
        if store.mark_taken(tx, row.transfer_id, refused.body(), site.ctx.clock.now()):
            site.tell(
                tx, row.payer_id, f"/transfers/{name_of(row)}/error", "transfers", refused.body(), row.headers
            )
    site.wake()


def _again(site: Site, kept: store.TransferRow, headers: dict[str, str], body: bytes) -> None:
    """A transfer that is known: the same is told as it stands once it has ended; another is refused."""
    source = headers["fspiop-source"]
    path = f"/transfers/{name_of(kept)}"
    told: dict[str, Any]
    with site.ctx.tx() as tx:
        if kept.digest != sha256(body).digest() or kept.payer_id != source:
            told = Refused("3106").body()
            site.tell(tx, source, f"{path}/error", "transfers", told, headers)
        elif kept.taken_at is None:
            return
        elif kept.refused is not None:
            site.tell(tx, source, f"{path}/error", "transfers", kept.refused, headers)
        else:
            payment = hub.get_payment(tx, kept.transfer_id)
            if payment.state in (hub.State.RECEIVED, hub.State.RESERVED):
                return
            site.tell(tx, source, path, "transfers", _status(payment), headers)
    site.wake()


# --- fulfil and refuse


def fulfil(site: Site, name: str, headers: Mapping[str, str], body: bytes, data: FulfilBody) -> None:
    """Take a payee's fulfilment, to be answered 200; the rest follows. name: of the transfer. Errors: Refused."""
    wire.check_id(name, "ID")
    version = wire.check_content_type(headers.get("content-type"), "transfers")
    now = site.ctx.clock.now()
    if data.completed_timestamp is not None:
        done_at = wire.instant(data.completed_timestamp, "completedTimestamp")
        if done_at > now + CLOCK_SKEW:
            raise Refused("3100", "completedTimestamp lies in the future")
    state = data.transfer_state
    if state not in ("COMMITTED", "RESERVED") or (state == "RESERVED" and version == "1.0"):
        return  # it ends nothing: an error ends a transfer, and in 1.0 only COMMITTED does
    forwarded = wire.headers_to_forward(headers, with_accept=False)
    site.later(lambda: _fulfil(site, name, forwarded, body, data))


def _fulfil(site: Site, name: str, headers: dict[str, str], body: bytes, data: FulfilBody) -> None:
    transfer_id = wire.check_id(name, "ID")
    source = headers["fspiop-source"]
    with site.ctx.tx() as tx:
        row = store.find_transfers(tx, [transfer_id]).get(transfer_id)
        payments = hub.find_payments(tx, [transfer_id])
        if row is None or not payments or source not in (row.payer_id, row.payee_id):
            _tell_refused(
                site,
                headers,
                name,
                Refused("3208", "Provided Transfer ID was not found on the server."),
            )
            return
        payment = payments[0]
        if source != row.payee_id:
            _tell_refused(site, headers, name, Refused("3100", "only the payeeFsp fulfils a transfer"))
            return
        if payment.state is hub.State.RESERVED:
            store.mark_ended(tx, transfer_id, headers, body, data.transfer_state)
    wrong = ""
    if headers.get("fspiop-destination") not in (None, row.payer_id):
        wrong = "fspiop-destination does not match payer fsp on the Fulfil callback response"
    elif data.fulfilment is None:
        wrong = "invalid fulfilment, it is required"
    shown = b"" if data.fulfilment is None else _bytes(data.fulfilment)
    if wrong and payment.state is hub.State.RESERVED:
        _abort_wrong(site, name, payment, headers, wrong)
        return
    asked = hub.Fulfil(transfer_id, shown, source)
    site.intake.submit(
        asked, lambda answer: site.later(lambda: _fulfilled(site, name, payment, headers, answer))
    )


def _fulfilled(
    site: Site,
    name: str,
    payment: hub.Payment,
    headers: Mapping[str, str],
    answer: hub.Answer | BaseException,
) -> None:
    if isinstance(answer, hub.WrongFulfilment):
        if payment.state is hub.State.COMMITTED:
            _tell_refused(site, headers, name, Refused("3106"))
        else:
            _abort_wrong(site, name, payment, headers, "invalid fulfilment")
        return
    if isinstance(answer, hub.PaymentExpired):
        if payment.state is hub.State.ABORTED:
            _tell_refused(site, headers, name, Refused("3303"))
        return  # else a notice tells of it
    if isinstance(answer, HansaError):
        if answer.status < 500:
            _tell_refused(site, headers, name, told_by_hub(answer))
        return
    if isinstance(answer, BaseException):
        raise answer
    if payment.state is hub.State.COMMITTED:  # it was told before, and asks again
        with site.ctx.tx() as tx:
            site.tell(
                tx, headers["fspiop-source"], f"/transfers/{name}", "transfers", _status(answer), headers
            )
        site.wake()
    site.wake_notices()


def _abort_wrong(site: Site, name: str, payment: hub.Payment, headers: Mapping[str, str], why: str) -> None:
    words = f"3100: {NAMES['3100'][1]} - {why}"
    answer = hub.abort(site.ctx, [hub.Abort(payment.payment_id, words, headers["fspiop-source"])])[0]
    if isinstance(answer, HansaError):
        _tell_refused(site, headers, name, told_by_hub(answer))
        return
    site.wake_notices()


def refuse(site: Site, name: str, headers: Mapping[str, str], body: bytes, data: ErrorBody) -> None:
    """Take a payee's refusal, to be answered 200; the rest follows. name: of the transfer. Errors: Refused."""
    wire.check_id(name, "ID")
    forwarded = wire.headers_to_forward(headers, with_accept=False)
    site.later(lambda: _refuse(site, name, forwarded, body, data))


def _refuse(site: Site, name: str, headers: dict[str, str], body: bytes, data: ErrorBody) -> None:
    transfer_id = wire.check_id(name, "ID")
    source = headers["fspiop-source"]
    told = data.error_information
    words = f"{told.error_code}: {told.error_description}"
    with site.ctx.tx() as tx:
        row = store.find_transfers(tx, [transfer_id]).get(transfer_id)
        if row is None or source != row.payee_id:
            _tell_refused(
                site,
                headers,
                name,
                Refused("3208", "Provided Transfer ID was not found on the server."),
            )
            return
        payments = hub.find_payments(tx, [transfer_id])
        if payments and payments[0].state is hub.State.RESERVED:
            store.mark_ended(tx, transfer_id, headers, body, "ERROR")
    answer = hub.abort(site.ctx, [hub.Abort(transfer_id, words, source)])[0]
    if isinstance(answer, HansaError):
        _tell_refused(site, headers, name, told_by_hub(answer))
    elif payments and payments[0].state is hub.State.ABORTED:
        is_same = row.ended_state == "ERROR" and row.ended_body == body
        if not is_same:
            _tell_refused(site, headers, name, Refused("3106"))
            return
        with site.ctx.tx() as tx:
            site.tell(
                tx, headers["fspiop-source"], f"/transfers/{name}", "transfers", _status(answer), headers
            )
        site.wake()
    site.wake_notices()


def _tell_refused(site: Site, headers: Mapping[str, str], name: str, refused: Refused) -> None:
    with site.ctx.tx() as tx:
        site.tell(
            tx, headers["fspiop-source"], f"/transfers/{name}/error", "transfers", refused.body(), headers
        )
    site.wake()


# --- asking


def ask(site: Site, headers: Mapping[str, str], name: str) -> None:
    """Tell payer or payee how a transfer stands, by a call. Errors: Refused."""
    transfer_id = wire.check_id(name, "ID")
    source = headers["fspiop-source"]
    with site.ctx.tx() as tx:
        body = _asked(tx, source, transfer_id)
        failed = "errorInformation" in body
        path = f"/transfers/{name}" + ("/error" if failed else "")
        site.tell(tx, source, path, "transfers", body, headers)
    site.wake()


def _asked(tx: Tx, source: str, transfer_id: UUID) -> dict[str, Any]:
    found = hub.find_payments(tx, [transfer_id])
    if found and source in (found[0].payer_id, found[0].payee_id):
        return _status(found[0])
    row = store.find_transfers(tx, [transfer_id]).get(transfer_id)
    if row is not None and source in (row.payer_id, row.payee_id):
        return row.refused if row.refused is not None else {"transferState": "RECEIVED"}
    try:
        funds = hub.get_funds(tx, transfer_id)
    except hub.UnknownFunds:
        funds = None
    if funds is not None and funds.member_id == source:
        states = {hub.FundsState.BOOKED: "COMMITTED", hub.FundsState.REFUSED: "ABORTED"}
        return {"transferState": states.get(funds.state, "RESERVED")}
    return Refused("3208", "Provided Transfer ID was not found on the server.").body()


def _status(payment: hub.Payment) -> dict[str, Any]:
    body: dict[str, Any] = {"transferState": payment.state.value}
    if payment.ended_at is not None:
        body["completedTimestamp"] = wire.said(payment.ended_at)
    if payment.fulfilment is not None:
        body["fulfilment"] = _text(payment.fulfilment)
    if payment.state is hub.State.ABORTED:
        code, description = _why(payment, None)
        body["extensionList"] = {"extension": [{"key": "cause", "value": f"{code}: {description}"[:128]}]}
    return body


# --- notices


def message_of(
    site: Site, notice: hub.Notice, payment: hub.Payment, row: store.TransferRow
) -> Message | None:
    """The call that a notice becomes, or None where Mojaloop has none for it."""
    path = f"/transfers/{name_of(row)}"
    to_payer = notice.member_id == payment.payer_id
    match notice.kind:
        case hub.NoticeKind.RESERVED:
            return "POST", "/transfers", row.headers, row.body
        case hub.NoticeKind.COMMITTED if to_payer:
            return _committed(site, path, payment, row)
        case hub.NoticeKind.COMMITTED if row.ended_state == "RESERVED":
            return _own(site, "PATCH", path, notice.member_id, _patch(payment), row)
        case hub.NoticeKind.ABORTED if to_payer:
            if payment.reason is hub.Reason.PAYEE and row.ended_state == "ERROR" and row.ended_headers:
                return "PUT", f"{path}/error", row.ended_headers, row.ended_body or b""
            return _own(site, "PUT", f"{path}/error", notice.member_id, _error(site, payment), row)
        case hub.NoticeKind.ABORTED if row.ended_state == "RESERVED":
            return _own(site, "PATCH", path, notice.member_id, _patch(payment), row)
        case hub.NoticeKind.ABORTED if row.ended_state == "ERROR":
            return None  # the payee has said so itself
        case hub.NoticeKind.ABORTED | hub.NoticeKind.LATE:
            return _own(site, "PUT", f"{path}/error", notice.member_id, _error(site, payment), row)
        case _:
            return None


def _committed(site: Site, path: str, payment: hub.Payment, row: store.TransferRow) -> Message:
    """The payee's own words go on, with its signature; where it only reserved, the hub says that it is committed."""
    if row.ended_state == "COMMITTED" and row.ended_headers and row.ended_body:
        return "PUT", path, row.ended_headers, row.ended_body
    body = wire.dump(_status(payment))
    return "PUT", path, site.own_headers("PUT", path, payment.payer_id, "transfers", body, row.headers), body


def _own(site: Site, method: str, path: str, member_id: str, body: Any, row: store.TransferRow) -> Message:
    text = wire.dump(body)
    return method, path, site.own_headers(method, path, member_id, "transfers", text, row.headers), text


def _patch(payment: hub.Payment) -> dict[str, Any]:
    body = _status(payment)
    body.pop("fulfilment", None)
    return body


def _error(site: Site, payment: hub.Payment) -> dict[str, Any]:
    code, description = _why(payment, site)
    return error_body(code, description)


def _why(payment: hub.Payment, site: Site | None) -> tuple[str, str]:
    """Code and description of why a transfer was aborted."""
    match payment.reason:
        case hub.Reason.EXPIRED:
            return "3303", "Transfer expired"
        case hub.Reason.PAYEE:
            found = _WORDS.fullmatch(payment.words)
            return (found[1], found[2]) if found else ("5000", payment.words or "Generic Payee error")
        case _ if site is not None and _wants_cover(site, payment):
            return "4001", NAMES["4001"][1]
        case hub.Reason.NO_HEADROOM if site is None:
            return "4001", NAMES["4001"][1]
        case _:
            return "4200", NAMES["4200"][1]


def _wants_cover(site: Site, payment: hub.Payment) -> bool:
    """Whether it was cover that a payer lacked, and not a higher cap."""
    with site.ctx.tx() as tx:
        line = hub.get_liquidity(tx, payment.payer_id, payment.amount.currency)
    if line.model == "gross":
        return True
    return line.position_minor + line.reserved_minor + payment.amount.minor > line.cover_minor


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
