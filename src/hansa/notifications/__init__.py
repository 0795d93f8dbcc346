"""Notifications: what persons are told, in the wallet and by message, each fact once.

Facts flow in from all rooms by the outbox, written in the transaction that makes them true. Out flow notices, numbered
for each person and kept in a list that a page follows live; and messages by e-mail and telephone, as the kind's rules
and the person's own settings want. No money moves here, and no text is kept: sentences are made in the reader's
language.
"""

from hansa.notifications import watches
from hansa.notifications.actions import (
    Due,
    count_unread,
    ended,
    forget,
    forget_person,
    hear,
    latest_of,
    lease_messages,
    list_notices,
    mark_all_read,
    mark_read,
    read_settings,
    set_settings,
)
from hansa.notifications.model import (
    CHANNELS,
    GROUPS,
    Channel,
    Kind,
    Notice,
    Outcome,
    Said,
    Settings,
    digest_due,
    facts_shown,
    kinds,
    quiet_until,
    say_notice,
    sentences,
)
from hansa.notifications.watches_model import Budget, LowMark, reached

__all__ = [
    "CHANNELS",
    "GROUPS",
    "Budget",
    "Channel",
    "Due",
    "Kind",
    "LowMark",
    "Notice",
    "Outcome",
    "Said",
    "Settings",
    "count_unread",
    "digest_due",
    "ended",
    "facts_shown",
    "forget",
    "forget_person",
    "hear",
    "kinds",
    "latest_of",
    "lease_messages",
    "list_notices",
    "mark_all_read",
    "mark_read",
    "quiet_until",
    "reached",
    "read_settings",
    "say_notice",
    "sentences",
    "set_settings",
    "watches",
]
