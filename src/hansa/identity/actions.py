"""What can be done with accounts: open them, find them."""

from collections.abc import Sequence
from dataclasses import replace

from hansa.identity import store
from hansa.identity.model import (
    Account,
    AccountDiffers,
    AccountId,
    RiderClass,
    UnknownAccount,
)
from hansa.store import Tx

ACCOUNTS_MAX = 8192
"""Accounts in one statement: enough to fill it, few enough to keep it small."""


def open_accounts(tx: Tx, accounts: Sequence[Account]) -> int:
    """Open accounts, any number of them; how many were new. Opening one again, unchanged, is harmless.

    Errors: AccountDiffers when an id is taken by an account that says something else; nothing is opened.
    """
    opened = 0
    for first in range(0, len(accounts), ACCOUNTS_MAX):
        batch = accounts[first : first + ACCOUNTS_MAX]
        with tx.transaction():
            new = store.open_accounts(tx, batch)
            if new < len(batch):
                _refuse_other_bodies(tx, batch)
        opened += new
    return opened


def set_rider_class(tx: Tx, account_id: AccountId, rider_class: RiderClass) -> None:
    """Have the account ride by this class from now on; tokens that it has are replaced when its phones ask next.

    Errors: UnknownAccount, also where it is closed.
    """
    if not store.set_rider_class(tx, account_id, rider_class):
        raise UnknownAccount(f"No account {account_id} is open here.")


def set_language(tx: Tx, account_id: AccountId, language: str) -> None:
    """Speak this language to the person from now on. language: BCP 47.

    Errors: UnknownAccount, also where it is closed.
    """
    if not store.set_language(tx, account_id, language):
        raise UnknownAccount(f"No account {account_id} is open here.")


def get_account(tx: Tx, account_id: AccountId) -> Account:
    """The account of this id. Errors: UnknownAccount."""
    account = find_account(tx, account_id)
    if account is None:
        raise UnknownAccount(f"No account {account_id} is open here.")
    return account


def find_account(tx: Tx, account_id: AccountId) -> Account | None:
    """The account of this id, or None."""
    found = store.fetch_accounts(tx, [account_id])
    return found[0] if found else None


def find_accounts(tx: Tx, account_ids: Sequence[AccountId]) -> dict[AccountId, Account]:
    """Those of these accounts that are open, by id."""
    return {account.account_id: account for account in store.fetch_accounts(tx, account_ids)}


def list_accounts(tx: Tx, after: AccountId | None = None, limit: int = 50) -> list[Account]:
    """Accounts in order of id, from the one after ``after``; at most ``limit``."""
    return store.list_accounts(tx, after=after, limit=limit)


def search_accounts(tx: Tx, text: str, *, city_id: str = "", limit: int = 50) -> list[Account]:
    """Accounts whose name holds the text or whose id starts with it, of one home city or of all."""
    return store.search_accounts(tx, text=text.strip().replace("\0", ""), city_id=city_id, limit=limit)


def sample_accounts(tx: Tx, *, each: int = 1) -> list[Account]:
    """A few accounts of every home city and rider class: who a visitor of the demo may sign in as."""
    return store.sample_accounts(tx, each=each)


def _refuse_other_bodies(tx: Tx, accounts: Sequence[Account]) -> None:
    known = find_accounts(tx, [account.account_id for account in accounts])
    for account in accounts:
        there = known[account.account_id]
        # Its person may have chosen another language since, and cards have given it another class.
        if replace(account, language=there.language, rider_class=there.rider_class) != there:
            raise AccountDiffers(f"Account {account.account_id} is open already and says something else.")
