"""Who may begin payments and be sent them: members of the league that are not suspended, and whose business goes on."""

from collections.abc import Iterable
from datetime import datetime

from hansa import trust
from hansa.store import Tx


def paying_members(tx: Tx, member_ids: Iterable[str], at: datetime) -> set[str]:
    """Those of these members that may pay and be paid at an instant; a stranger may not."""
    lives = trust.member_lives(tx, at)
    return {one for one in set(member_ids) if one in lives and lives[one].may("transfer", at)}
