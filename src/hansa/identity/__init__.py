"""Identity: the people who ride. Accounts and sign-ins flow in, an account for a sign-in flows out. No money.

A person has one account with one issuer. A sign-in is an opaque secret in the person's browser; we keep its
SHA-256 and its expiry, so that a stolen table signs nobody in.
"""

from hansa.identity.actions import (
    end_session,
    find_account,
    find_accounts,
    get_account,
    list_accounts,
    open_accounts,
    sample_accounts,
    search_accounts,
    session_of,
    start_session,
)
from hansa.identity.model import (
    SESSION_LASTS,
    Account,
    AccountDiffers,
    AccountId,
    RiderClass,
    UnknownAccount,
)

__all__ = [
    "SESSION_LASTS",
    "Account",
    "AccountDiffers",
    "AccountId",
    "RiderClass",
    "UnknownAccount",
    "end_session",
    "find_account",
    "find_accounts",
    "get_account",
    "list_accounts",
    "open_accounts",
    "sample_accounts",
    "search_accounts",
    "session_of",
    "start_session",
]
