"""What is known of persons: their data keys, their day of birth, who they are, how well that is proved."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from hansa.identity import persons_store as store
from hansa.identity.actions import get_account
from hansa.identity.model import AccountId
from hansa.identity.persons_model import (
    AccountClosed,
    Birth,
    BirthKnown,
    BirthSource,
    PersonId,
    ProofLevel,
    check_birth,
    needs_guardian,
)
from hansa.identity.sealing import Sealer, open_box, seal
from hansa.store import Context, Tx

BIRTH_FIELD = "birth"

# -- data keys ----------------------------------------------------------------------------------------------


def data_key(tx: Tx, sealer: Sealer, account_id: AccountId, at: datetime) -> bytes:
    """The key that seals what is known of this account's holder, made when first asked for.

    Errors: UnknownAccount; AccountClosed; store.SecretMissing, BoxDamaged.
    """
    found = find_data_key(tx, sealer, account_id)
    if found is not None:
        return found
    get_account(tx, account_id)
    if store.closed_at(tx, account_id) is not None:
        raise AccountClosed
    key, wrapped = sealer.new_key(account_id)
    if store.add_key(tx, account_id, wrapped, at):
        return key
    return sealer.unwrap(store.fetch_keys(tx, [account_id])[account_id], account_id)


def find_data_key(tx: Tx, sealer: Sealer, account_id: AccountId) -> bytes | None:
    """The same, or None when it was never made, or was destroyed: nothing of this account opens then.

    Errors: store.SecretMissing, BoxDamaged.
    """
    wrapped = store.fetch_keys(tx, [account_id]).get(account_id)
    return None if wrapped is None else sealer.unwrap(wrapped, account_id)


def rewrap(ctx: Context, sealer: Sealer, *, limit: int = 500) -> int:
    """Wrap data keys of older versions by the newest; how many. Zero: none is left, so old versions may go.

    Whoever reads meanwhile is not held up: an old version opens as well as the new one until it is thrown away.
    Errors: store.SecretMissing when an old version is gone; nothing was changed then.
    """
    with ctx.tx() as tx:
        rows = store.keys_to_wrap(tx, sealer.newest, limit)
        fresh = [
            (row.account_id, sealer.wrap(sealer.unwrap(row.wrapped, row.account_id), row.account_id))
            for row in rows
        ]
        if fresh:
            store.wrap_keys(tx, fresh, ctx.clock.now())
    return len(fresh)


def count_data_keys(tx: Tx) -> dict[int, int]:
    """How many data keys each version of the key-encryption key wraps. A version with none may be destroyed."""
    return store.count_keys(tx)


# -- birth --------------------------------------------------------------------------------------------------


def state_birth(
    tx: Tx, sealer: Sealer, account_id: AccountId, born: date, *, country: str, at: datetime
) -> Birth:
    """Keep the day a person says they were born on, once. The same day again is harmless.

    country: of the account's home city; its law says whether a guardian must answer for the account from now on.
    Errors: InvalidInput for a day that nobody alive was born on; BirthKnown when another is known; UnknownAccount.
    """
    check_birth(born, at.date())
    known = find_birth(tx, sealer, account_id)
    if known is not None:
        if known.born == born:
            return known
        raise BirthKnown
    needs = needs_guardian(born, country, at.date())
    note_birth(tx, sealer, account_id, born, source="stated", at=at, needs=needs)
    known = find_birth(tx, sealer, account_id)
    assert known is not None
    if known.born != born:  # another request stated another day just now
        raise BirthKnown
    return known


def note_birth(
    tx: Tx,
    sealer: Sealer,
    account_id: AccountId,
    born: date,
    *,
    source: BirthSource,
    at: datetime,
    needs: bool | None = None,
) -> None:
    """Keep a day of birth; what a proof says stands in place of what was stated, never the other way.

    needs: whether the account needs a guardian; None: ``look_at_births`` works it out.
    """
    key = data_key(tx, sealer, account_id, at)
    box = seal(key, born.isoformat().encode(), owner=account_id, field=BIRTH_FIELD)
    store.add_birth(tx, account_id, box, source, at, needs_guardian=needs)


def find_birth(tx: Tx, sealer: Sealer, account_id: AccountId) -> Birth | None:
    """When this account's holder was born, where that is known. Errors: store.SecretMissing, BoxDamaged."""
    row = store.find_birth(tx, account_id)
    key = find_data_key(tx, sealer, account_id) if row is not None else None
    if row is None or key is None:
        return None
    text = open_box(key, row.box, owner=account_id, field=BIRTH_FIELD).decode()
    return Birth(date.fromisoformat(text), row.source, row.noted_at)


def births_to_look_at(tx: Tx, today: date, *, limit: int = 200) -> list[AccountId]:
    """Accounts of which it is not known as of today whether they need a guardian; others do not get the same ones."""
    return store.births_to_look_at(tx, today, limit)


def look_at_births(
    tx: Tx, sealer: Sealer, countries: Mapping[AccountId, str], *, today: date
) -> list[AccountId]:
    """Work out which of these accounts need a guardian as of today; those that do.

    countries: of each account's home city. Whose day of birth cannot be read any more needs none.
    Errors: store.SecretMissing, BoxDamaged.
    """
    needs: dict[AccountId, bool] = {}
    for account_id, country in countries.items():
        birth = find_birth(tx, sealer, account_id)
        needs[account_id] = needs_guardian(birth.born if birth else None, country, today)
    store.set_needs(tx, needs, today)
    return [account_id for account_id, needed in needs.items() if needed]


# -- who it is ----------------------------------------------------------------------------------------------


def proof_level(tx: Tx, account_id: AccountId) -> ProofLevel:
    """How well it is known who holds this account; NONE also for an account that is not open here."""
    return store.levels(tx, [account_id])[account_id]


def proof_levels(tx: Tx, account_ids: Sequence[AccountId]) -> dict[AccountId, ProofLevel]:
    """The same for many accounts in one statement."""
    return store.levels(tx, account_ids) if account_ids else {}


def person_of(tx: Tx, account_id: AccountId) -> PersonId | None:
    """The human being behind this account, once a document proved who that is."""
    return store.find_person(tx, account_id)


def accounts_of_person(tx: Tx, person_id: PersonId) -> list[AccountId]:
    """All accounts that this person proved to be theirs, at whatever issuer, the oldest first."""
    return store.accounts_of(tx, person_id)


def is_closed(tx: Tx, account_id: AccountId) -> bool:
    """Whether this account was deleted."""
    return store.closed_at(tx, account_id) is not None
