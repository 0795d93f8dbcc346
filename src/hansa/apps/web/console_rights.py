"""What each address of the console asks of a person, as ``console_rights.toml`` says it. Pure."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from hansa.apps.web.amounts import read_minor
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem

Read = Literal["", "everything", "journeys", "risk", "disputes"]

PAGE = "page"
"""Of ``own``: the page itself shows no more than the reader may see."""

PROPOSAL, REASON, CREDENTIAL = "hansa_proposal", "hansa_reason", "credential"
"""Fields of a form that are ours and no page's."""


class Two(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a second person must confirm: always, or where an amount is over so many whole units of its currency.

    currency: the field that the page itself takes the currency from, after a ``|`` if it has one. times: a field that
    says how many of the amount there are. together: how many times ``over`` one person's amounts may come to within a
    day, so that nobody stays under it by parting an amount; 0 where amounts do not add up.
    """

    always: bool = False
    field: str = ""
    currency: str = "currency"
    times: str = ""
    over: dict[str, int] = {}
    together: int = 0


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the table; the file's head says what each part means."""

    path: str
    right: str
    own: tuple[str, ...] = ()
    person: Read = ""
    looks: bool = False
    offers: bool = False
    act: str = ""
    reason: str = ""
    asks: bool = True
    when: dict[str, tuple[str, ...]] = {}
    fresh: bool = False
    two: Two | None = None

    def fits(self, path: str, fields: Mapping[str, str] | None) -> bool:
        """Whether this line is about that address, and about that form."""
        if not fnmatchcase(path, self.path):
            return False
        return all(fields is not None and fields.get(name) in values for name, values in self.when.items())

    def reason_in(self, fields: Mapping[str, str]) -> str:
        """Why, as the form says it: in its own field, or in the one that we asked with."""
        own = fields.get(self.reason, "") if self.reason else ""
        return (own.strip() or fields.get(REASON, "").strip())[:500]

    def needs_two(self, fields: Mapping[str, str]) -> bool:
        """Whether a second person must confirm this form. An amount that cannot be read is told by the page itself."""
        if self.two is None:
            return False
        if self.two.always or not self.two.field:
            return self.two.always
        if not fields.get(self.two.field, "").strip():
            return False
        if self._currency(self.two, fields) not in self.two.over:
            return True
        stake = self.stake_in(fields)
        return stake is not None and stake.minor > self.limit_of(stake.currency)

    def stake_in(self, fields: Mapping[str, str]) -> Money | None:
        """What this form is about, all of it, where it has a threshold and can be read."""
        if self.two is None or self._currency(self.two, fields) not in self.two.over:
            return None
        currency = self._currency(self.two, fields)
        times = fields.get(self.two.times, "").strip() if self.two.times else "1"
        try:
            minor = read_minor(fields.get(self.two.field, "").strip(), currency, where=self.two.field)
        except HansaError:
            return None
        return Money(minor * int(times[:9]), currency) if times.isdecimal() else None

    def limit_of(self, currency: str) -> int:
        """What one person may decide alone and at once, in minor units of a currency that has a threshold."""
        assert self.two is not None, "a threshold is of a line that has one"
        return self.two.over[currency] * 10 ** CURRENCY_EXPONENTS[currency]

    @staticmethod
    def _currency(two: Two, fields: Mapping[str, str]) -> str:
        return fields.get(two.currency, "").rpartition("|")[2].strip().upper()


class Rights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table."""

    open: tuple[str, ...]
    page: tuple[Rule, ...]
    deed: tuple[Rule, ...]

    def is_open(self, path: str) -> bool:
        """Whether this address asks for nobody."""
        return any(fnmatchcase(path, one) for one in self.open)

    def find_rule(self, method: str, path: str, fields: Mapping[str, str] | None) -> Rule | None:
        """The first line that fits."""
        lines = self.page if method in ("GET", "HEAD", "OPTIONS") else self.deed
        return next((line for line in lines if line.fits(path, fields)), None)


@cache
def own_rights() -> Rights:
    """The table that comes with Hansa."""
    return read_rights((files("hansa.apps.web") / "console_rights.toml").read_text(encoding="utf-8"))


def read_rights(toml: str) -> Rights:
    """The table from its text. Errors: InvalidInput, which names the line's fault."""
    try:
        return msgspec.toml.decode(toml, type=Rights)
    except msgspec.DecodeError as error:
        problem = Problem("console_rights.toml", str(error), "Write each line as the file's head says")
        raise InvalidInput("This cannot be the console's table of rights.", problems=(problem,)) from error


def without_ours(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """A form's fields as its own page sent them."""
    return [(name, value) for name, value in pairs if name not in (PROPOSAL, REASON, CREDENTIAL)]
