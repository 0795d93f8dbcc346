"""Webhooks: what becomes of things is told to members, in a numbered feed and by signed calls to their endpoints.

Facts flow in from every room above, written in the transaction that makes them true. Out flow events by Standard
Webhooks: at least once, those of one subject in order, tried again for days; and a feed from which a member reads what
it missed. No room's words are here: a fact is a type, a subject and a few names that lead to the rest.
"""

from hansa.webhooks.actions import (
    add_endpoint,
    disable_endpoint,
    enable_endpoint,
    follow,
    forget,
    get_endpoint,
    get_event,
    list_attempts,
    list_endpoints,
    number,
    read_feed,
    record,
    redeliver,
    rotate_secret,
    send_test,
    verify_endpoint,
)
from hansa.webhooks.addresses import BadNetworks, Reach, reach_from_environment
from hansa.webhooks.model import (
    TYPES,
    Attempt,
    Endpoint,
    EndpointDiffers,
    Event,
    EventType,
    News,
    NotEnabled,
    NotVerified,
    SecretIsNew,
    TooManyEndpoints,
    UnknownEndpoint,
    UnknownEvent,
)
from hansa.webhooks.sending import Courier, Sender, send_code, turn
from hansa.webhooks.signing import BadSignature, Secrets, verify

__all__ = [
    "TYPES",
    "Attempt",
    "BadNetworks",
    "BadSignature",
    "Courier",
    "Endpoint",
    "EndpointDiffers",
    "Event",
    "EventType",
    "News",
    "NotEnabled",
    "NotVerified",
    "Reach",
    "SecretIsNew",
    "Secrets",
    "Sender",
    "TooManyEndpoints",
    "UnknownEndpoint",
    "UnknownEvent",
    "add_endpoint",
    "disable_endpoint",
    "enable_endpoint",
    "follow",
    "forget",
    "get_endpoint",
    "get_event",
    "list_attempts",
    "list_endpoints",
    "number",
    "reach_from_environment",
    "read_feed",
    "record",
    "redeliver",
    "rotate_secret",
    "send_code",
    "send_test",
    "turn",
    "verify",
    "verify_endpoint",
]
