"""The policy of sign-ins: how long sessions last, how fresh a proof must be, how long coming back waits."""

from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Annotated

import msgspec

from hansa.identity.phone_model import BadPolicy
from hansa.kernel import Problem

_Seconds = Annotated[int, msgspec.Meta(ge=60, le=31_536_000)]


class PeoplePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How people sign in and come back; people_policy.toml says what each figure means. Seconds end in ``_s``."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    own_idle_s: _Seconds
    own_absolute_s: _Seconds
    shared_idle_s: _Seconds
    shared_absolute_s: _Seconds
    sessions_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    seen_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)]
    fresh_s: Annotated[int, msgspec.Meta(ge=60, le=3_600)]
    challenge_s: Annotated[int, msgspec.Meta(ge=60, le=600)]
    challenges_max: Annotated[int, msgspec.Meta(ge=1, le=100)]
    passkeys_max: Annotated[int, msgspec.Meta(ge=2, le=100)]
    codes: Annotated[int, msgspec.Meta(ge=2, le=20)]
    code_wait_s: Annotated[int, msgspec.Meta(ge=0, le=2_592_000)]
    proofed_wait_s: Annotated[int, msgspec.Meta(ge=0, le=2_592_000)]
    recovery_open_s: _Seconds
    lowered_s: Annotated[int, msgspec.Meta(ge=0, le=31_536_000)]
    birth_optional_at: list[Annotated[str, msgspec.Meta(min_length=1, max_length=100)]]

    @property
    def fresh(self) -> timedelta:
        """How long after a proof changes of security may be made."""
        return timedelta(seconds=self.fresh_s)

    @property
    def lowered(self) -> timedelta:
        """For how long limits are lowered after coming back."""
        return timedelta(seconds=self.lowered_s)

    def idle_s(self, *, shared: bool) -> int:
        """After how many seconds without use a session ends."""
        return self.shared_idle_s if shared else self.own_idle_s

    def absolute(self, *, shared: bool) -> timedelta:
        """How long after it began a session ends in any case."""
        return timedelta(seconds=self.shared_absolute_s if shared else self.own_absolute_s)


@cache
def own_people_policy() -> PeoplePolicy:
    """The policy that comes with Hansa."""
    return read_people_policy((files("hansa.identity") / "people_policy.toml").read_text(encoding="utf-8"))


def read_people_policy(toml: str) -> PeoplePolicy:
    """The policy from its text. Errors: BadPolicy, which names the field and its bounds."""
    try:
        return msgspec.toml.decode(toml, type=PeoplePolicy)
    except msgspec.DecodeError as error:
        problem = Problem("people_policy.toml", str(error), "Write each figure within its bounds")
        raise BadPolicy(problems=(problem,)) from error
