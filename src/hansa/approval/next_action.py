"""What has to happen next to something that a person decides on, as answers over the interface say it."""

from typing import Literal

import msgspec


class NextAction(msgspec.Struct, frozen=True):
    """What has to happen next. type: `approve` by whose money it is, or `pay` by whoever comes. url: where."""

    type: Literal["approve", "pay"]
    url: str
