"""A shop's own sites: its owners name where customers go back to, and where its terms say so, a second owner agrees.

Whoever takes an owner's account over would send customers elsewhere first. So the acquirer may set the terms that two
owners are needed; the acquirer itself names sites as before. Each change is in the audit record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from psycopg.rows import class_row

from hansa import audit
from hansa.identity import AccountId
from hansa.kernel import HansaError, new_id
from hansa.merchants import actions, offers
from hansa.merchants.model import Merchant
from hansa.store import Tx

WAITS = timedelta(days=7)
"""How long another owner has to agree."""

ASK = """
insert into merchants.origins_asked (merchant_id, asked_id, origins, asked_by, asked_at, expires_at)
values (%s, %s, %s, %s, %s, %s)
on conflict (merchant_id) do update set asked_id = excluded.asked_id, origins = excluded.origins,
    asked_by = excluded.asked_by, asked_at = excluded.asked_at, expires_at = excluded.expires_at
"""
FIND = """
select asked_id, origins, asked_by, asked_at, expires_at from merchants.origins_asked
where merchant_id = %s and expires_at > %s
"""
TAKE = """
delete from merchants.origins_asked where merchant_id = %s and asked_id = %s and expires_at > %s
returning asked_id, origins, asked_by, asked_at, expires_at
"""
SET_TERMS = "update merchants.merchants set second_owner = %s where merchant_id = %s and second_owner <> %s"
LOCK = "select second_owner from merchants.merchants where merchant_id = %s for no key update"


class UnknownSitesAsked(HansaError):
    """These sites are not asked for any more."""

    code: ClassVar[str] = "merchants.unknown_sites_asked"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Look at the shop's sites again: another owner answered, or named others."


class SecondOwnerNeeded(HansaError):
    """Another owner of the shop has to agree to this, by the shop's terms."""

    code: ClassVar[str] = "merchants.second_owner_needed"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Ask another owner of the shop to agree, or its acquirer to name the sites."


@dataclass(frozen=True, slots=True)
class SitesAsked:
    """Sites that wait for another owner. asked_by: who named them."""

    asked_id: UUID
    origins: list[str]
    asked_by: UUID
    asked_at: datetime
    expires_at: datetime


def name_sites(
    tx: Tx, merchant_id: UUID, origins: Sequence[str], *, by: AccountId, at: datetime
) -> SitesAsked | None:
    """Name the sites to which a shop's customers may go back, as its owner; those that are left out are no more.

    None: they hold from now on. By the shop's terms they wait for another owner, and take the place of others that
    wait. Whether the owner proved just now who they are, the caller sees.
    Errors: UnknownMerchant, OwnersOnly; InvalidInput. Nothing is changed then.
    """
    actions.require_owner(tx, merchant_id, by)
    shop, second_owner = _locked(tx, merchant_id)
    wanted = offers.check_origins(origins)
    if wanted == offers.list_return_origins(tx, shop.payee_id):
        return None
    if not second_owner:
        _set(tx, shop, wanted, [by], at)
        return None
    asked = SitesAsked(new_id(), wanted, by, at, at + WAITS)
    tx.execute(ASK, (merchant_id, asked.asked_id, asked.origins, by, at, asked.expires_at))
    return asked


def answer_sites(
    tx: Tx, merchant_id: UUID, asked_id: UUID, *, agree: bool, by: AccountId, at: datetime
) -> list[str]:
    """Agree to sites that another owner named, or have them not; whoever named them takes them back. Gives what holds.

    Errors: UnknownMerchant, OwnersOnly, UnknownSitesAsked; SecondOwnerNeeded for who would agree with themselves.
    """
    actions.require_owner(tx, merchant_id, by)
    shop, _ = _locked(tx, merchant_id)
    asked = find_sites_asked(tx, merchant_id, at)
    if asked is None or asked.asked_id != asked_id:
        raise UnknownSitesAsked
    if agree and asked.asked_by == by:
        raise SecondOwnerNeeded
    tx.execute(TAKE, (merchant_id, asked_id, at))
    if agree:
        _set(tx, shop, asked.origins, [AccountId(asked.asked_by), by], at)
    return offers.list_return_origins(tx, shop.payee_id)


def find_sites_asked(tx: Tx, merchant_id: UUID, at: datetime) -> SitesAsked | None:
    """The sites of a shop that wait for another owner."""
    with tx.cursor(row_factory=class_row(SitesAsked)) as cursor:
        return cursor.execute(FIND, (merchant_id, at)).fetchone()


def needs_second_owner(tx: Tx, merchant_id: UUID) -> bool:
    """Whether this shop's terms want two owners for its sites. Errors: UnknownMerchant."""
    return _locked(tx, merchant_id)[1]


def set_terms(tx: Tx, merchant_id: UUID, *, second_owner: bool, by: str, at: datetime) -> bool:
    """Set a shop's terms, as its acquirer, which the caller sees to; whether they changed. by: as `trust.Caller.who`.

    Errors: UnknownMerchant.
    """
    actions.get_merchant(tx, merchant_id)
    changed = tx.execute(SET_TERMS, (second_owner, merchant_id, second_owner)).rowcount == 1
    if changed:
        details = {"second_owner": second_owner}
        act = audit.Act(by, "merchants.terms", f"merchant:{merchant_id}", "terms of the shop", details)
        audit.record(tx, act, at)
    return changed


def _locked(tx: Tx, merchant_id: UUID) -> tuple[Merchant, bool]:
    """The shop, for this transaction alone, and whether two owners are needed. Errors: UnknownMerchant."""
    shop = actions.get_merchant(tx, merchant_id)
    row = tx.execute(LOCK, (merchant_id,)).fetchone()
    assert row is not None, "a shop does not go"
    return shop, bool(row[0])


def _set(tx: Tx, shop: Merchant, origins: Sequence[str], owners: Sequence[AccountId], at: datetime) -> None:
    who = [f"person:{one}" for one in owners]
    offers.set_return_origins(tx, shop.payee_id, origins, by=who[-1], at=at)
    details = {"origins": list(origins), "agreed": who}
    audit.record(
        tx,
        audit.Act(who[-1], "merchants.sites", f"merchant:{shop.merchant_id}", "sites to go back to", details),
        at,
    )
