"""The HTTP face of trust: who is in the league, and what a gate fetches."""

from datetime import datetime
from hashlib import sha256
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, QueryParameter

from hansa.kernel import InvalidInput, Problem, paged
from hansa.store import Context
from hansa.trust import actions, lists
from hansa.trust.model import GateRecord, Member, NoListKey, NoTrustList

Cursor = Annotated[str, QueryParameter(max_length=200, description="`next` of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]


class MemberView(msgspec.Struct, frozen=True):
    """A member as anyone may see it: its bank account is not shown."""

    member_id: str
    name: str
    role: str
    city_id: str | None
    clears_as: str


class Members(msgspec.Struct, frozen=True):
    """All members of the league."""

    members: list[MemberView]


class GateView(msgspec.Struct, frozen=True):
    """A gate as anyone may see it."""

    gate_id: str
    operator_id: str
    city_id: str
    stop_id: str | None
    line_id: str | None
    action: str
    product: str
    facts: dict[str, str]


class GatePage(msgspec.Struct, frozen=True):
    """Some gates by id; ``next`` asks for those after them, null at the end."""

    gates: list[GateView]
    next: str | None


class DenyListView(msgspec.Struct, frozen=True):
    """Tokens (hex) put on the deny list after version ``since``, and the version that a gate then has."""

    version: int
    since: int
    added: list[str]


class ClockView(msgspec.Struct, frozen=True):
    """The league's time, by which gates set their clocks: RFC 3339, to the microsecond."""

    now: datetime


@get("/v1/members", sync_to_thread=True, tags=["Trust"])
def members(ctx: NamedDependency[Context]) -> Members:
    """The cities, issuers, operators and banks of the league."""
    with ctx.tx() as tx:
        return Members([_member(member) for member in actions.list_members(tx)])


@get(
    "/v1/trust-list",
    sync_to_thread=True,
    tags=["Trust"],
    opt={"refuses": (NoTrustList,)},
    media_type="application/cose",
)
def trust_list(
    ctx: NamedDependency[Context],
    known: Annotated[
        str,
        HeaderParameter(
            name="if-none-match", max_length=1_000, description="The ETag of the list that the gate has"
        ),
    ] = "",
) -> Response[bytes]:
    """The issuers' keys, signed by the league's root: COSE_Sign1 over CBOR, see docs/ride-code.

    A gate that has this list already, and says so by its ETag, is answered 304 and nothing more.
    """
    with ctx.tx() as tx:
        body = lists.signed_trust_list(tx)
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    if known == tag:
        return Response(b"", status_code=304, headers={"etag": tag}, media_type="application/cose")
    return Response(body, headers={"etag": tag}, media_type="application/cose")


@get("/v1/deny-list", sync_to_thread=True, tags=["Trust"], opt={"refuses": (InvalidInput,)})
def deny_list(
    ctx: NamedDependency[Context], since: Annotated[int, QueryParameter(ge=0, le=2**53)] = 0
) -> DenyListView:
    """Revoked tokens that are still alive. A gate asks with the version it has and adds what it gets."""
    with ctx.tx() as tx:
        version, added = lists.deny_list_since(tx, since, at=ctx.clock.now())
    if since > version:
        raise InvalidInput(
            "There is no such version yet.",
            problems=(Problem("since", f"{since} is past {version}", "Ask with 0 for the whole list"),),
        )
    return DenyListView(version, since, [cti.hex() for cti in added])


@get(
    "/v1/deny-list.cose",
    sync_to_thread=True,
    tags=["Trust"],
    opt={"refuses": (InvalidInput, NoListKey)},
    media_type="application/cose",
)
def signed_deny_list(
    ctx: NamedDependency[Context],
    list_signer: NamedDependency[lists.ListSigner],
    since: Annotated[int, QueryParameter(ge=0, le=2**53)] = 0,
) -> Response[bytes]:
    """The deny list from a version on, signed by the league's list key: COSE_Sign1 over CBOR, see docs/ride-code.

    A gate asks with the version that it has, every half minute or so. The answer also says, by when it was issued, that
    the gate's list is still the newest.
    """
    with ctx.tx() as tx:
        body = list_signer.deny_update(tx, since=since, at=ctx.clock.now())
    return Response(body, media_type="application/cose")


@get("/v1/clock", tags=["Trust"])
async def clock(ctx: NamedDependency[Context]) -> ClockView:
    """The league's time, for gates and phones to compare theirs with. Take it as said half way through the asking."""
    return ClockView(ctx.clock.now())


@get("/v1/gates", sync_to_thread=True, tags=["Trust"], opt={"refuses": (InvalidInput,)})
def gates(
    ctx: NamedDependency[Context],
    operator_id: Annotated[str | None, QueryParameter(max_length=100)] = None,
    after: Cursor = "",
    limit: Limit = 100,
) -> GatePage:
    """The league's gates, by id."""
    for name, text in (("operator_id", operator_id or ""), ("after", after)):
        if "\0" in text:
            raise InvalidInput(
                "A name holds no NUL.", problems=(Problem(name, "it holds a NUL", "Take it out"),)
            )
    with ctx.tx() as tx:
        found = actions.list_gates_page(tx, operator_id=operator_id, after=after, limit=limit + 1)
    page, more = paged(found, limit, lambda one: one.gate_id)
    return GatePage([_gate(gate) for gate in page], more)


def _member(member: Member) -> MemberView:
    return MemberView(member.member_id, member.name, member.role, member.city_id, member.clears_as)


def _gate(gate: GateRecord) -> GateView:
    return GateView(
        gate.gate_id,
        gate.operator_id,
        gate.city_id,
        gate.stop_id,
        gate.line_id,
        gate.action,
        gate.product,
        gate.facts,
    )


ROUTES = [members, trust_list, deny_list, signed_deny_list, clock, gates]
