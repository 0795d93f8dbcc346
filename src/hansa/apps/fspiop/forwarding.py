"""What members ask of each other through the hub: parties, quotes, requests to pay; and whose customer is whose.

The hub reads of a message only where it goes. A quote is kept with its first answer, so that another under the same id
is refused; an answer is given to whom it is for, whatever it says.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from hansa.apps.fspiop import store, wire
from hansa.apps.fspiop.calls import party_path
from hansa.apps.fspiop.errors import Refused
from hansa.apps.fspiop.site import Site
from hansa.apps.fspiop.transfers import Amount, ErrorBody

PARTY_TYPES = (
    "MSISDN",
    "EMAIL",
    "PERSONAL_ID",
    "BUSINESS",
    "DEVICE",
    "ACCOUNT_ID",
    "IBAN",
    "ALIAS",
    "CONSENT",
)
"""Source: Open API for FSP Interoperability 1.1, section 7.5.6 (PartyIdType)."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class PartyIdInfo(msgspec.Struct, rename="camel"):
    """An identifier of a party."""

    party_id_type: Name
    party_identifier: Name
    fsp_id: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] | None = None


class QuoteParty(msgspec.Struct, rename="camel"):
    """A party of a quote."""

    party_id_info: PartyIdInfo


class TransactionType(msgspec.Struct, rename="camel"):
    """What kind of a payment it is for."""

    scenario: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    initiator: Annotated[str, msgspec.Meta(pattern=r"^(PAYER|PAYEE)\Z")]
    initiator_type: Annotated[str, msgspec.Meta(pattern=r"^(CONSUMER|AGENT|BUSINESS|DEVICE)\Z")]


class QuoteBody(msgspec.Struct, rename="camel"):
    """A quote that is asked for."""

    quote_id: str
    transaction_id: str
    payee: QuoteParty
    payer: QuoteParty
    amount_type: Annotated[str, msgspec.Meta(pattern=r"^(SEND|RECEIVE)\Z")]
    amount: Amount
    transaction_type: TransactionType
    expiration: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    transaction_request_id: str | None = None


class QuoteAnswer(msgspec.Struct, rename="camel"):
    """A quote that is given."""

    transfer_amount: Amount
    expiration: Annotated[str, msgspec.Meta(max_length=40)]
    ilp_packet: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+[=]{0,2}\Z", max_length=32_768)]
    condition: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]
    payee_receive_amount: Amount | None = None
    payee_fsp_fee: Amount | None = None
    payee_fsp_commission: Amount | None = None


class PartyResultBody(msgspec.Struct, rename="camel"):
    """A party that was found."""

    party: QuoteParty


class ParticipantBody(msgspec.Struct, rename="camel"):
    """Whose customer an identifier is."""

    fsp_id: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")] | None = None


class ParticipantsBody(msgspec.Struct, rename="camel"):
    """Several of them."""

    request_id: str
    party_list: Annotated[list[PartyIdInfo], msgspec.Meta(min_length=1, max_length=10_000)]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")] | None = None


class TransactionRequestBody(msgspec.Struct, rename="camel"):
    """A request to pay."""

    transaction_request_id: str
    payee: QuoteParty
    payer: PartyIdInfo
    amount: Amount
    transaction_type: TransactionType


class TransactionAnswer(msgspec.Struct, rename="camel"):
    """What became of a request to pay."""

    transaction_request_state: Annotated[
        str, msgspec.Meta(pattern=r"^(RECEIVED|PENDING|ACCEPTED|REJECTED)\Z")
    ]


class AuthorizationAnswer(msgspec.Struct, rename="camel"):
    """How a payer authorised a payment."""

    response_type: Annotated[str, msgspec.Meta(pattern=r"^(ENTERED|REJECTED|RESEND)\Z")]


QUOTE = msgspec.json.Decoder(QuoteBody)
QUOTE_ANSWER = msgspec.json.Decoder(QuoteAnswer)
PARTY = msgspec.json.Decoder(PartyResultBody)
PARTICIPANT = msgspec.json.Decoder(ParticipantBody)
PARTICIPANTS = msgspec.json.Decoder(ParticipantsBody)
TRANSACTION_REQUEST = msgspec.json.Decoder(TransactionRequestBody)
TRANSACTION_ANSWER = msgspec.json.Decoder(TransactionAnswer)
AUTHORIZATION_ANSWER = msgspec.json.Decoder(AuthorizationAnswer)
ANY_ERROR = msgspec.json.Decoder(ErrorBody)


# --- the directory


def register(site: Site, headers: Mapping[str, str], names: Sequence[str], data: ParticipantBody) -> None:
    """Note whose customer an identifier is, and tell by a call. Errors: Refused."""
    source = headers["fspiop-source"]
    party = _party(names)
    if data.fsp_id != source:
        raise Refused("3100", "fspId must be FSPIOP-Source: each member registers its own customers")
    path = party_path("participants", names)
    with site.ctx.tx() as tx:
        if store.set_party(tx, party, data.fsp_id, data.currency or "", site.ctx.clock.now()):
            site.tell(tx, source, path, "participants", {"fspId": data.fsp_id}, headers)
        else:
            refused = Refused("3003", "it is registered for another member, who must remove it first")
            site.tell(tx, source, f"{path}/error", "participants", refused.body(), headers)
    site.wake()


def register_many(site: Site, headers: Mapping[str, str], data: ParticipantsBody) -> None:
    """Note whose customers several identifiers are, and tell by one call."""
    source = headers["fspiop-source"]
    wire.check_id(data.request_id, "requestId")
    now = site.ctx.clock.now()
    results: list[dict[str, Any]] = []
    with site.ctx.tx() as tx:
        for one in data.party_list:
            told: dict[str, Any] = {
                "partyId": {"partyIdType": one.party_id_type, "partyIdentifier": one.party_identifier}
            }
            try:
                if one.fsp_id not in (None, source):
                    raise Refused("3100", "fspId must be FSPIOP-Source")
                party = _party((one.party_id_type, one.party_identifier))
                if not store.set_party(tx, party, source, data.currency or "", now):
                    raise Refused("3003", "it is registered for another member")
            except Refused as refused:
                told |= refused.body()
            results.append(told)
        body = {"partyList": results, "currency": [data.currency] if data.currency else []}
        site.tell(tx, source, f"/participants/{data.request_id}", "participants", body, headers)
    site.wake()


def look_up(site: Site, headers: Mapping[str, str], names: Sequence[str]) -> None:
    """Tell by a call whose customer an identifier is."""
    source = headers["fspiop-source"]
    party = _party(names)
    path = party_path("participants", names)
    with site.ctx.tx() as tx:
        member = store.find_party(tx, party)
        if member is None:
            site.tell(tx, source, f"{path}/error", "participants", Refused("3204").body(), headers)
        else:
            site.tell(tx, source, path, "participants", {"fspId": member}, headers)
    site.wake()


def remove(site: Site, headers: Mapping[str, str], names: Sequence[str]) -> None:
    """The identifier is nobody's customer any more; told by a call."""
    source = headers["fspiop-source"]
    party = _party(names)
    path = party_path("participants", names)
    with site.ctx.tx() as tx:
        if store.delete_party(tx, party, source):
            site.tell(tx, source, path, "participants", {"fspId": source}, headers)
        else:
            site.tell(tx, source, f"{path}/error", "participants", Refused("3204").body(), headers)
    site.wake()


# --- parties


def ask_party(site: Site, headers: Mapping[str, str], names: Sequence[str]) -> None:
    """Bring the question who somebody is to the member whose customer it is; its answer is told by a call."""
    party = _party(names)
    source, destination = headers["fspiop-source"], headers.get("fspiop-destination")
    path = party_path("parties", names)
    with site.ctx.tx() as tx:
        member = destination if destination not in (None, wire.HUB) else store.find_party(tx, party)
        if member is None:
            refused: Refused | None = Refused("3204")
        else:
            refused = _not_there(tx, member)
        if member is None or refused is not None:
            assert refused is not None, member
            site.tell(tx, source, f"{path}/error", "parties", refused.body(), headers)
        else:
            forwarded = wire.headers_to_forward(headers, with_accept=True)
            forwarded["fspiop-destination"] = member
            site.call(tx, member, "GET", path, b"", forwarded, tells=source)
    site.wake()


# --- quotes and requests to pay


def ask(
    site: Site,
    resource: str,
    request_id: str,
    headers: Mapping[str, str],
    body: bytes,
    to_member: str | None,
    currency: str | None = None,
) -> None:
    """Keep a request under its id and bring it to the member it is for; the same again is brought again.

    currency: in which the member must be able to be paid, where it is asked for a quote.
    """
    source = headers["fspiop-source"]
    path = f"/{resource}/{request_id}"
    with site.ctx.tx() as tx:
        refused = _not_there(tx, to_member)
        if refused is None and currency is not None and not store.may_pay(tx, [to_member or ""], currency):
            refused = Refused(
                "3201", f"Unsupported participant {to_member}, it takes no part in {currency} now"
            )
        if refused is None:
            assert to_member is not None, "it is there"
            digest = sha256(body).digest()
            now = site.ctx.clock.now()
            kept = store.keep_request(tx, resource, request_id, (source, to_member), digest, body, now)
            if kept is not None and (kept.member_id, kept.digest) != (source, digest):
                refused = Refused("3106")
        if refused is not None or to_member is None:
            assert refused is not None, to_member
            site.tell(tx, source, f"{path}/error", resource, refused.body(), headers)
        else:
            forwarded = wire.headers_to_forward(headers, with_accept=True)
            forwarded["fspiop-destination"] = to_member
            site.call(tx, to_member, "POST", f"/{resource}", body, forwarded, tells=source, tells_path=path)
    site.wake()


def ask_after(site: Site, resource: str, headers: Mapping[str, str], path: str) -> None:
    """Bring a question after a request to the member that it was for."""
    source, destination = headers["fspiop-source"], headers.get("fspiop-destination")
    with site.ctx.tx() as tx:
        refused = _not_there(tx, destination)
        if refused is not None or destination is None:
            assert refused is not None, destination
            site.tell(tx, source, f"{path.partition('?')[0]}/error", resource, refused.body(), headers)
        else:
            forwarded = wire.headers_to_forward(headers, with_accept=True)
            tells_path = path.partition("?")[0]
            site.call(tx, destination, "GET", path, b"", forwarded, tells=source, tells_path=tells_path)
    site.wake()


def answer(site: Site, resource: str, headers: Mapping[str, str], path: str, body: bytes) -> None:
    """Bring an answer to the member that it is for; the first answer to a kept request is kept."""
    source, destination = headers["fspiop-source"], headers.get("fspiop-destination")
    with site.ctx.tx() as tx:
        refused = _not_there(tx, destination)
        if refused is not None or destination is None:
            assert refused is not None, destination
            if not path.endswith("/error"):
                site.tell(tx, source, f"{path}/error", resource, refused.body(), headers)
        else:
            parts = path.strip("/").split("/")
            if resource in ("quotes", "transactionRequests"):
                store.answer_request(tx, resource, parts[1], source, body, site.ctx.clock.now())
            forwarded = wire.headers_to_forward(headers, with_accept=False)
            site.call(tx, destination, "PUT", path, body, forwarded)
    site.wake()


def _not_there(tx: Any, member_id: str | None) -> Refused | None:
    """Why a member cannot be asked, or None."""
    if member_id is None:
        return Refused("3201", "FSPIOP-Destination is missing")
    found = store.list_members(tx, member_id)
    if not found:
        return Refused("3201", f"Unsupported participant {member_id}"[:90])
    if not found[0].is_active:
        return Refused("3201", f"Unsupported participant {member_id}, it takes no part now")
    return None


def _party(names: Sequence[str]) -> tuple[str, str, str]:
    """Type, identifier and sub-identifier. Errors: Refused."""
    if names[0] not in PARTY_TYPES:
        raise Refused("3101", f"Type must be one of {', '.join(PARTY_TYPES)}")
    return names[0], names[1], names[2] if len(names) > 2 else ""
