"""The topics at the broker: what a device says goes up, what it is told comes down."""

from urllib.parse import quote, unquote

PREFIX = "hansa"
TRUST_LIST = f"{PREFIX}/down/all/trust-list"
DENY_LIST = f"{PREFIX}/down/all/deny-list"


def up(device_id: str, what: str) -> str:
    """A device says: ``state``, ``telemetry``, ``taps``, ``refused``."""
    return f"{PREFIX}/up/{device_id}/{what}"


def down(device_id: str, what: str) -> str:
    """A device is told: ``acks``, ``settings``."""
    return f"{PREFIX}/down/{device_id}/{what}"


def station_topic(stop_id: str) -> str:
    """Where the gates of a station tell each other accepted counters. A stop's id is one level of the topic."""
    return f"{PREFIX}/station/{quote(stop_id, safe='')}/seen"


def stop_of(topic: str) -> str:
    """The stop of a station's topic."""
    return unquote(topic.split("/")[2])


def device_of(topic: str) -> tuple[str, str]:
    """Which device said what: id and kind of an ``up`` topic; empty words for another."""
    parts = topic.split("/")
    if len(parts) != 4 or parts[:2] != [PREFIX, "up"]:
        return "", ""
    return parts[2], parts[3]
