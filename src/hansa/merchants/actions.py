"""What can be done with shops: apply, be opened by the acquirer, let people act, keep tills."""

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

from hansa import atlas, audit, identity, trust, webhooks
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Problem
from hansa.merchants import paying, store
from hansa.merchants.model import (
    BILL_MAX,
    CATEGORIES,
    FEE_BP_MAX,
    INVITE_LASTS,
    NAME_MAX,
    REASON_MAX,
    TEXT_MAX,
    ActedFor,
    InviteRefused,
    Merchant,
    MerchantDecided,
    MerchantDiffers,
    MerchantId,
    MerchantNotOpen,
    OwnersOnly,
    Person,
    Role,
    UnknownMerchant,
    bill_text,
    plain_text,
    shop_name,
)
from hansa.store import Context, Tx

TILLS_MAX = 99


def acquirers(tx: Tx, city_id: str) -> list[trust.Member]:
    """Who opens shops in a city: its members that issue cards, for they hold accounts, and sign entry tickets."""
    return [one for one in trust.list_members(tx) if one.role == "issuer" and one.city_id == city_id]


def apply(
    tx: Tx,
    merchant_id: UUID,
    *,
    account_id: AccountId,
    member_id: str,
    name: str,
    local_name: str = "",
    category: str,
    address: str,
    at: datetime,
) -> Merchant:
    """Ask an acquirer to open a shop; whoever asks is its owner. Asking again with the same is harmless.

    Errors: InvalidInput, which names the field; identity.UnknownAccount; MerchantDiffers.
    """
    identity.get_account(tx, account_id)
    member = next((one for one in trust.list_members(tx) if one.member_id == member_id), None)
    problems: list[Problem] = []
    if member is None or member.role != "issuer" or member.city_id is None:
        problems.append(
            Problem("member_id", f"{member_id!r} opens no shops", "Choose one that the form names")
        )
    if category not in CATEGORIES:
        told = ", ".join(CATEGORIES)
        problems.append(Problem("category", f"{category!r} is none of these", f"Choose from {told}"))
    if problems or member is None or member.city_id is None:
        raise InvalidInput("This shop cannot be opened.", problems=tuple(problems))
    city = atlas.get_city(tx, member.city_id)
    merchant = Merchant(
        merchant_id=MerchantId(merchant_id),
        member_id=member_id,
        name=shop_name(name),
        local_name=plain_text(local_name, "local_name", NAME_MAX),
        category=category,
        city_id=city.city_id,
        country=city.country,
        currency=city.currency,
        tz=city.tz,
        address=plain_text(address, "address", TEXT_MAX, least=3),
        fee_bp=0,
        status="applied",
        applied_by=account_id,
        applied_at=at,
    )
    store.add_merchant(tx, merchant)
    known = get_merchant(tx, merchant_id)
    if (known.applied_by, known.member_id, known.name, known.category, known.address) != (
        account_id,
        member_id,
        merchant.name,
        category,
        merchant.address,
    ):
        raise MerchantDiffers
    if store.find_role(tx, merchant_id, account_id) is None and known.status == "applied":
        store.add_person(tx, merchant_id, account_id, "owner", at)
    return known


def get_merchant(tx: Tx, merchant_id: UUID) -> Merchant:
    """The shop of this id. Errors: UnknownMerchant."""
    merchant = store.find_merchant(tx, merchant_id)
    if merchant is None:
        raise UnknownMerchant
    return merchant


def get_open_merchant(tx: Tx, merchant_id: UUID) -> Merchant:
    """The shop of this id, which takes payments. Errors: UnknownMerchant, MerchantNotOpen."""
    merchant = get_merchant(tx, merchant_id)
    if merchant.status != "open":
        raise MerchantNotOpen
    return merchant


def list_merchants(
    tx: Tx,
    *,
    member_id: str | None = None,
    status: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Merchant]:
    """Shops of an acquirer, or of all, the newest first; those before a mark."""
    return store.list_merchants(tx, member_id=member_id, status=status, before=before, limit=limit)


def list_own(tx: Tx, account_id: AccountId) -> list[Merchant]:
    """The shops that a person acts for, the oldest first."""
    return store.list_own(tx, account_id)


def decide(
    ctx: Context, merchant_id: UUID, *, yes: bool, by: str, at: datetime, reason: str = "", fee_bp: int = 60
) -> Merchant:
    """Open a shop that applied, or refuse it with a reason. The same decision again is harmless.

    fee_bp: what the acquirer keeps of each sale, 0 to 1,000 basis points. by: who decides, as `trust.Caller.who`.
    Errors: UnknownMerchant; MerchantDecided for another decision; InvalidInput. Nothing is changed then.
    """
    reason = plain_text(reason, "reason", REASON_MAX, least=0 if yes else 1)
    if not 0 <= fee_bp <= FEE_BP_MAX:
        problem = Problem("fee_bp", f"it is {fee_bp}", f"Give 0 to {FEE_BP_MAX} basis points")
        raise InvalidInput("This fee cannot be.", problems=(problem,))
    with ctx.tx() as tx:
        merchant = get_merchant(tx, merchant_id)
    status = "open" if yes else "refused"
    if merchant.status not in ("applied", status):
        raise MerchantDecided
    if yes:
        # Who can be paid is opened first: a kill in between leaves a payee of whom nobody knows, and the same
        # decision again ends it.
        paying.open_payee(ctx, merchant)
    with ctx.tx() as tx:
        locked = store.find_merchant(tx, merchant_id, lock=True)
        assert locked is not None, "a shop does not go"
        if locked.status == status:
            return locked
        if locked.status != "applied":
            raise MerchantDecided
        store.decide_merchant(
            tx, merchant_id, status, by=by, at=at, reason=reason, fee_bp=fee_bp if yes else 0
        )
        act = audit.Act(
            actor=by,
            action=f"merchants.{'opened' if yes else 'refused'}",
            subject=f"merchant:{merchant_id}",
            reason=reason or "applied",
            details={"fee_bp": fee_bp} if yes else {},
        )
        audit.record(tx, act, at)
        webhooks.record(
            tx,
            webhooks.News(
                type="merchant.decided",
                members=[merchant.member_id],
                at=at,
                subject=f"merchant:{merchant_id}",
                data={"merchant_id": str(merchant_id), "status": status},
                fact=(merchant_id, status),
            ),
        )
        return get_merchant(tx, merchant_id)


# -- people and tills ---------------------------------------------------------------------------------------


def role_of(tx: Tx, merchant_id: UUID, account_id: AccountId) -> Role:
    """What a person is in a shop. Errors: UnknownMerchant, also for somebody who is nobody there."""
    role = store.find_role(tx, merchant_id, account_id)
    if role is None:
        raise UnknownMerchant
    return role


def require_owner(tx: Tx, merchant_id: UUID, account_id: AccountId) -> None:
    """Go on only for an owner. Errors: UnknownMerchant, OwnersOnly."""
    if role_of(tx, merchant_id, account_id) != "owner":
        raise OwnersOnly


def invite(tx: Tx, merchant_id: UUID, *, by: AccountId, role: Role, at: datetime) -> str:
    """An invitation to act for a shop: a secret, good once and for a day. Errors: UnknownMerchant, OwnersOnly."""
    require_owner(tx, merchant_id, by)
    secret = secrets.token_urlsafe(24)
    store.add_invite(tx, _hash(secret), merchant_id, role, by=by, expires_at=at + INVITE_LASTS)
    return secret


def read_invite(tx: Tx, secret: str, at: datetime) -> tuple[Merchant, Role]:
    """To which shop and role an invitation leads; it is not used up. Errors: InviteRefused."""
    found = store.find_invite(tx, _hash(secret), at)
    if found is None:
        raise InviteRefused
    return get_merchant(tx, found[0]), found[1]


def join(tx: Tx, secret: str, account_id: AccountId, at: datetime) -> Merchant:
    """Take an invitation. An owner who takes one for cashiers stays an owner. Errors: InviteRefused."""
    found = store.use_invite(tx, _hash(secret), account_id, at)
    if found is None:
        raise InviteRefused
    merchant_id, role = found
    if store.find_role(tx, merchant_id, account_id) != "owner":
        store.add_person(tx, merchant_id, account_id, role, at)
    return get_merchant(tx, merchant_id)


def list_people(tx: Tx, merchant_id: UUID) -> list[Person]:
    """Who acts for a shop, the first one first."""
    return store.list_people(tx, merchant_id)


def end_person(tx: Tx, merchant_id: UUID, account_id: AccountId, *, by: AccountId, at: datetime) -> None:
    """Let somebody act for the shop no more. Again is harmless.

    Errors: UnknownMerchant, OwnersOnly; InvalidInput for an owner who would end themselves.
    """
    require_owner(tx, merchant_id, by)
    if by == account_id:
        problem = Problem("account_id", "it is yourself", "Let another owner do it")
        raise InvalidInput("A shop keeps its owner.", problems=(problem,))
    store.end_person(tx, merchant_id, account_id, at)


def acted_for(tx: Tx, account_id: AccountId) -> list[ActedFor]:
    """The shops that a person acts for, or did, the first one first."""
    return store.acted_for(tx, account_id)


def owned_alone(tx: Tx, account_id: AccountId) -> list[str]:
    """The names of shops, open or applied for, that would have no owner without this person."""
    return store.owned_alone(tx, account_id)


def leave_shops(tx: Tx, account_id: AccountId, at: datetime) -> None:
    """Let a person who goes act for no shop any more. That none is left without an owner, the caller sees."""
    store.leave_shops(tx, account_id, at)


def add_till(tx: Tx, merchant_id: UUID, label: str, at: datetime) -> str:
    """Open a till by its label, again if it was closed. Errors: InvalidInput."""
    label = bill_text(label, "label")
    tills = store.list_tills(tx, merchant_id)
    if not label or (label not in tills and len(tills) >= TILLS_MAX):
        what = "it has no label" if not label else f"there are {len(tills)} already"
        remedy = f"Write 1 to {BILL_MAX} Latin letters" if not label else "Close one first"
        raise InvalidInput("This till cannot be opened.", problems=(Problem("label", what, remedy),))
    store.add_till(tx, merchant_id, label, at)
    return label


def close_till(tx: Tx, merchant_id: UUID, label: str, at: datetime) -> bool:
    """Close a till; whether it was open. What it sold stays under its label."""
    return store.close_till(tx, merchant_id, label, at)


def list_tills(tx: Tx, merchant_id: UUID) -> list[str]:
    """The labels of a shop's open tills, the oldest first."""
    return store.list_tills(tx, merchant_id)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
