"""Payment PINs: six digits, kept as Argon2id over an HMAC under a pepper, tried a few times, then after growing waits.

A try is counted, and committed, before the PIN is looked at: neither a crash nor many tries at once give one more than
the policy lets. Sources: OWASP Password Storage Cheat Sheet (Argon2id, 19 MiB, 2 passes, 1 lane; a pepper kept apart),
NIST SP 800-63B section 5.2.2 (tries), ASVS 5.0 V6.
"""

import hashlib
import hmac
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import ClassVar, NamedTuple
from uuid import UUID

import argon2
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type

from hansa import identity
from hansa.approval.changes import add_change
from hansa.approval.deciding import lock_account, policy_of
from hansa.approval.policy import PinRules
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store import Context, Secret, Tx

LENGTH = 6
PEPPER = "pin-pepper"
"""The secret's name (``hansa secrets``)."""

HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, type=Type.ID)

COMMON = frozenset(
    """
    123321 112233 121212 123123 159753 147258 147852 258456 741852 789456 102030 010203 131313 123654
    456123 987654 321321 159357 520520 521521 520131 131452 201314 696969 007007 110110 101010 142536
    147147 159159 246810 135790 654123 987321 753951 963852 852456 258852 369258 951753 789123 456789
    123789 111222 222333 333444 112211 221122 100200 200200 121314 131415 101112 111213 123450 543210
    012345 098765 456654 789987 369369 258258 125125 168168
    """.split()  # noqa: SIM905
)
"""PINs that are chosen most often and that no rule below finds."""

FIND = """
select hash, pepper_version, set_at, failed, next_try_at from approval.pins
where partition = %s and account_id = %s
"""

SET = """
insert into approval.pins (partition, account_id, hash, pepper_version, set_at)
values (%s, %s, %s, %s, %s)
on conflict (partition, account_id) do update set hash = excluded.hash, pepper_version = excluded.pepper_version,
    set_at = excluded.set_at, failed = 0, next_try_at = null
"""

# One statement decides and counts; whoever tries at the same moment waits for the row and sees the count.
CLAIM = """
update approval.pins set failed = failed + 1,
    next_try_at = %(at)s + (%(waits)s::integer[])[failed + 1] * interval '1 second'
where partition = %(partition)s and account_id = %(account_id)s
    and failed < %(tries)s and (next_try_at is null or next_try_at <= %(at)s)
returning hash, pepper_version, set_at, failed
"""

RIGHT = """
update approval.pins set failed = 0, next_try_at = null where partition = %s and account_id = %s and hash = %s
"""

REHASH = """
update approval.pins set hash = %s, pepper_version = %s where partition = %s and account_id = %s and hash = %s
"""


class NoPin(HansaError):
    """This account has no payment PIN yet."""

    code: ClassVar[str] = "approval.no_pin"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Set one at /wallet/pin, or approve with a passkey."
    next_action: ClassVar[str] = "set_pin"


class PinWrong(HansaError):
    """This is not the account's PIN."""

    code: ClassVar[str] = "approval.pin_wrong"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Try again, or approve with a passkey; after a few tries you have to wait."


class PinLocked(HansaError):
    """The PIN was wrong too often. Wait, or approve with a passkey, with which you may also set a new PIN."""

    code: ClassVar[str] = "approval.pin_locked"
    status: ClassVar[int] = 429
    remedy: ClassVar[str] = "Wait, or use a passkey; set a new PIN at /wallet/pin."


class PinStanding(NamedTuple):
    """How an account's PIN stands. tries_left: before the next wait. wait_until: no try before then; None: now.
    blocked: only a passkey helps, which sets a new one.
    """

    set_at: datetime
    tries_left: int
    wait_until: datetime | None
    blocked: bool


def find_pin(tx: Tx, partition: int, account_id: AccountId, at: datetime) -> PinStanding | None:
    """How the account's PIN stands; None when it has none."""
    row = tx.execute(FIND, (partition, account_id)).fetchone()
    if row is None:
        return None
    _, _, set_at, failed, next_try_at = row
    rules = _rules(tx, account_id)
    wait = next_try_at if next_try_at is not None and next_try_at > at else None
    blocked = failed >= rules.tries + len(rules.waits_s)
    return PinStanding(set_at, max(0, rules.tries - failed), None if blocked else wait, blocked)


def set_pin(
    ctx: Context, account_id: AccountId, pin: str, pepper: Secret, *, born: date | None = None
) -> None:
    """Set the account's PIN, or another one; tries begin anew. Whether the person proved who they are, the caller sees.

    pin: six digits. born: the person's day of birth, where known. Errors: InvalidInput for a PIN that is easily
    guessed, with why; identity.UnknownAccount.
    """
    check_strength(pin, born=born)
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(account_id)
    hashed = HASHER.hash(_peppered(account_id, pin, pepper.value))
    with ctx.tx() as tx:
        lock_account(tx, partition, account_id)
        tx.execute(SET, (partition, account_id, hashed, pepper.newest, at))
        add_change(tx, partition, account_id, "pin_set", at=at)


def check_pin(ctx: Context, account_id: AccountId, pin: str, pepper: Secret) -> datetime:
    """Since when this right PIN is the account's. Errors: NoPin, PinLocked, PinWrong."""
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(account_id)
    with ctx.tx() as tx:
        rules = _rules(tx, account_id)
        values = {
            "partition": partition,
            "account_id": account_id,
            "at": at,
            "tries": rules.tries + len(rules.waits_s),
            # After the nth wrong try in a row: nothing at first, then one wait after another.
            "waits": [0] * (rules.tries - 1) + list(rules.waits_s) + [0],
        }
        claimed = tx.execute(CLAIM, values).fetchone()
        standing = None if claimed is not None else find_pin(tx, partition, account_id, at)
    if claimed is None:
        if standing is None:
            raise NoPin
        raise PinLocked(_when(standing, at))
    hashed, version, set_at, failed = claimed
    try:
        HASHER.verify(hashed, _peppered(account_id, pin, pepper.version(version)))
    except VerifyMismatchError:
        left = rules.tries - failed
        raise PinWrong(
            f"This is not your PIN. {left} more {'try' if left == 1 else 'tries'} before you have to wait."
            if left > 0
            else "This is not your PIN. You have to wait before the next try."
        ) from None
    with ctx.tx() as tx:
        tx.execute(RIGHT, (partition, account_id, hashed))
    if version != pepper.newest or HASHER.check_needs_rehash(hashed):
        fresh = HASHER.hash(_peppered(account_id, pin, pepper.value))
        with ctx.tx() as tx:
            tx.execute(REHASH, (fresh, pepper.newest, partition, account_id, hashed))
    return set_at


def check_strength(pin: str, *, born: date | None = None) -> None:
    """Refuse a PIN that is easily guessed. Errors: InvalidInput, with why."""
    why = weakness(pin, born=born)
    if why:
        remedy = "Choose six digits that nobody would guess: no date, no pattern"
        raise InvalidInput("This PIN will not do.", problems=(Problem("pin", why, remedy),))


def weakness(pin: str, *, born: date | None = None) -> str:
    """Why this PIN will not do; empty where it will."""
    if len(pin) != LENGTH or not (pin.isascii() and pin.isdigit()):
        return f"it is not {LENGTH} digits"
    digits = [int(one) for one in pin]
    steps = {(after - before) % 10 for before, after in pairwise(digits)}
    if len(steps) == 1:
        return "its digits are all the same, or run up or down"
    if len(set(pin)) <= 2:
        return "it has only two different digits"
    if pin[:3] == pin[3:] or pin[:2] == pin[2:4] == pin[4:] or pin == pin[::-1]:
        return "it repeats or mirrors itself"
    if pin[0] == pin[1] and pin[2] == pin[3] and pin[4] == pin[5]:
        return "it is three pairs"
    if pin in COMMON:
        return "it is among those chosen most often"
    if _is_date(pin):
        return "it can be read as a date"
    if born is not None and pin in _forms(born):
        return "it is your day of birth"
    return ""


def _is_date(pin: str) -> bool:
    """Six digits that are a day of some year as people write it: YYMMDD, DDMMYY, MMDDYY, and a year with a month."""
    first, second, third = int(pin[:2]), int(pin[2:4]), int(pin[4:])
    if any(
        1 <= month <= 12 and 1 <= day <= 31
        for month, day in ((second, third), (second, first), (first, second))
    ):
        return True
    year, month = int(pin[:4]), third
    other_year, other_month = int(pin[2:]), first
    return (1920 <= year <= 2039 and 1 <= month <= 12) or (
        1920 <= other_year <= 2039 and 1 <= other_month <= 12
    )


def _forms(born: date) -> set[str]:
    return {born.strftime(form) for form in ("%y%m%d", "%d%m%y", "%m%d%y", "%Y%m", "%m%Y")}


def _peppered(account_id: UUID, pin: str, pepper: bytes) -> bytes:
    """The PIN under the pepper, for this account alone."""
    return hmac.new(pepper, account_id.bytes + pin.encode(), hashlib.sha256).digest()


def _rules(tx: Tx, account_id: AccountId) -> PinRules:
    return policy_of(tx, identity.get_account(tx, account_id).issuer_id).pin


def _when(standing: PinStanding, at: datetime) -> str:
    if standing.blocked or standing.wait_until is None:
        return "The PIN was wrong too often. Set a new one with a passkey."
    minutes = -(-(standing.wait_until - at) // timedelta(minutes=1))
    return f"The PIN was wrong too often. Wait {minutes:,} {'minute' if minutes == 1 else 'minutes'}, or use a passkey."
