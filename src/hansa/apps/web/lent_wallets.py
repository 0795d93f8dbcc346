"""Wallets of others from which somebody may spend: those that a page offers, and the one that a form chose."""

from dataclasses import dataclass
from uuid import UUID

from hansa import approval, identity
from hansa.apps.web.site import Site
from hansa.identity import AccountId
from hansa.kernel import Money
from hansa.store import Tx


@dataclass(frozen=True, slots=True)
class LentWallet:
    """An owner's wallet from which this person may spend now. left: of one payment, by what the owner lets them."""

    owner_id: AccountId
    name: str
    left: Money

    @property
    def currency(self) -> str:
        """Which of the owner's wallets it is."""
        return self.left.currency


def lent_wallets(tx: Tx, site: Site, me: AccountId, *, currency: str = "") -> list[LentWallet]:
    """The wallets of others from which this person may spend now, by owner; of one currency where that is named."""
    now = site.ctx.clock.now()
    lent = [
        one
        for one in approval.list_delegations_to(tx, me)
        if one.state(now) == "active" and not one.delegate_frozen and currency in ("", one.currency)
    ]
    owners = identity.find_accounts(tx, [one.account_id for one in lent])
    found = {
        (one.account_id, one.currency): LentWallet(
            one.account_id, owners[one.account_id].name, approval.left_of(tx, one, now).payment
        )
        for one in lent
        if one.account_id in owners
    }
    return sorted(found.values(), key=lambda one: (one.name, one.currency))


def owner_of(site: Site, me: AccountId, text: str) -> AccountId | None:
    """Whose wallet a form chose, if not one's own. Errors: approval.NotDelegated where they let one not spend now."""
    if not text:
        return None
    try:
        owner = AccountId(UUID(text))
    except ValueError as error:
        raise approval.NotDelegated from error
    if owner == me:
        return None
    with site.ctx.tx() as tx:
        if approval.use_delegation(tx, owner, me, site.ctx.clock.now()) is None:
            raise approval.NotDelegated
    return owner


def name_of(tx: Tx, account_id: UUID) -> str:
    """The name of an account's holder, for somebody with whom they share a wallet; empty for one that is gone."""
    found = identity.find_account(tx, AccountId(account_id))
    return "" if found is None else found.name
