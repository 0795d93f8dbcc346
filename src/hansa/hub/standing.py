"""Who may begin payments and be sent them: members of the league whose standing is active."""

from collections.abc import Iterable
from datetime import datetime

from hansa import trust
from hansa.store import Tx


def active_members(tx: Tx, member_ids: Iterable[str], at: datetime) -> set[str]:
    """Those of these that are members of the league, and neither suspended nor leaving nor gone at an instant."""
    del at  # trust knows no standings yet
    wanted = set(member_ids)
    return {member.member_id for member in trust.list_members(tx) if member.member_id in wanted}
