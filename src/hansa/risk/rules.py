"""Rules as data: read from TOML, checked whole, each fault named with its remedy."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast, get_args

from hansa.kernel import Problem
from hansa.risk.model import SEVERITIES, BadRules, Does, Severity

RULES_MAX = 100

Value = int | str | tuple[str, ...]

KINDS: dict[str, dict[str, object]] = {
    "copied_code": {"where": ("other_station", "same_station")},
    "counters": {"clock_s": int},
    "travel": {"city_m_per_s": int, "far_m_per_s": int, "clock_s": int, "near_m": int},
    "velocity": {"window_s": int, "starts_max": int},
    "pairing": {"within_s": int, "apart_m": int},
    "picture": {"old_s": int, "reasons": list},
    "revoked": {"gate": ("told", "untold"), "told_s": int},
    "offline": {"late_s": int, "starts_max": int},
    "tokens": {"window_s": int, "tokens_max": int},
    "chain": {},
}
"""What each kind of rule must be told: a whole number, one of some words, or a list of words."""

COMMON = ("name", "kind", "severity", "does", "words")
MOST = 100_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. does: what is done at once. words: what stands on its cases. values: its figures, by name with unit."""

    name: str
    kind: str
    severity: Severity
    does: tuple[Does, ...]
    words: str
    values: Mapping[str, Value]

    def number(self, name: str) -> int:
        """A figure of the rule; ``read_rules`` has made sure that it is there."""
        value = self.values[name]
        assert isinstance(value, int), name
        return value

    def word(self, name: str) -> str:
        """A word of the rule."""
        value = self.values[name]
        assert isinstance(value, str), name
        return value

    def list_of(self, name: str) -> tuple[str, ...]:
        """A list of words of the rule."""
        value = self.values[name]
        assert isinstance(value, tuple), name
        return value


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules that judge together, as they were written."""

    rules: tuple[Rule, ...]
    toml: str

    @property
    def digest(self) -> bytes:
        """Equal for equal text."""
        return hashlib.sha256(self.toml.encode()).digest()

    def named(self, name: str) -> Rule | None:
        """The rule of this name, if these rules have one."""
        return next((rule for rule in self.rules if rule.name == name), None)


@cache
def own_rules() -> RuleSet:
    """The rules that come with Hansa."""
    return read_rules((files("hansa.risk") / "rules.toml").read_text(encoding="utf-8"))


def read_rules(toml: str) -> RuleSet:
    """Rules from their text. Errors: BadRules with every field that is wrong, and what to do about it."""
    try:
        raw = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        problem = Problem("rules.toml", str(error), "Write it as TOML")
        raise BadRules("This is not TOML.", problems=(problem,)) from error
    problems: list[Problem] = []
    tables: object = raw.pop("rule", None)
    problems += [Problem(name, "it is not known", "Only [[rule]] tables stand here") for name in raw]
    if not isinstance(tables, list) or not 1 <= len(cast(list[Any], tables)) <= RULES_MAX:
        problems.append(
            Problem("rule", "there is none, or too many", f"Write 1 to {RULES_MAX} [[rule]] tables")
        )
        raise BadRules(problems=tuple(problems))
    rules: list[Rule] = []
    names: set[str] = set()
    for place, table in enumerate(cast(list[object], tables), start=1):
        if not isinstance(table, dict):
            problems.append(Problem(f"rule {place}", "it is no table", "Write it as [[rule]]"))
            continue
        reader = _Reader(place, cast(dict[str, object], table), problems)
        rule = reader.rule()
        if rule.name in names:
            problems.append(
                Problem(f"{reader.where}.name", "another rule has it", "Give each rule a name of its own")
            )
        names.add(rule.name)
        rules.append(rule)
    if problems:
        raise BadRules(problems=tuple(problems))
    return RuleSet(tuple(rules), toml)


class _Reader:
    def __init__(self, place: int, table: dict[str, object], problems: list[Problem]) -> None:
        self.table, self.problems = table, problems
        name = table.get("name")
        self.where = f"rule {place}" + (f" ({name})" if isinstance(name, str) else "")

    def rule(self) -> Rule:
        kind = self._word("kind", tuple(KINDS))
        wanted = KINDS.get(kind, {})
        for name in self.table.keys() - {*COMMON, *wanted}:
            if kind in KINDS:
                self._fault(
                    name, "it is not known", f"A rule of kind {kind} has {', '.join((*COMMON, *wanted))}"
                )
        values: dict[str, Value] = {}
        for name, form in wanted.items():
            if form is int:
                values[name] = self._number(name)
            elif form is list:
                values[name] = self._words(name)
            else:
                values[name] = self._word(name, cast(tuple[str, ...], form))
        return Rule(
            name=self._name(),
            kind=kind,
            severity=cast(Severity, self._word("severity", SEVERITIES)),
            does=cast(tuple[Does, ...], self._words("does", get_args(Does), empty=True)),
            words=self._text("words"),
            values=values,
        )

    def _name(self) -> str:
        name = self._text("name")
        if not all(
            letter.isascii() and (letter.islower() or letter.isdigit() or letter == "_") for letter in name
        ):
            self._fault("name", f"it is {name!r}", "Use small letters, figures and underscores")
        return name

    def _text(self, name: str) -> str:
        value = self.table.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= 300:
            self._fault(name, "it is missing or no text of 1 to 300 letters", "Say it in words")
            return ""
        return value

    def _word(self, name: str, known: tuple[str, ...]) -> str:
        value = self.table.get(name)
        if not isinstance(value, str) or value not in known:
            self._fault(name, f"it is {value!r}", f"Write one of {', '.join(known)}")
            return ""
        return value

    def _words(
        self, name: str, known: tuple[str, ...] | None = None, *, empty: bool = False
    ) -> tuple[str, ...]:
        value = self.table.get(name)
        items = cast(list[object], value) if isinstance(value, list) else None
        if items is None or (not items and not empty) or not all(isinstance(one, str) for one in items):
            self._fault(name, f"it is {value!r}", "Write a list of words")
            return ()
        words = tuple(str(one) for one in items)
        odd = [word for word in words if known is not None and word not in known]
        if odd:
            self._fault(name, f"it has {', '.join(odd)}", f"Use only {', '.join(known or ())}")
        return words

    def _number(self, name: str) -> int:
        value = self.table.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
            unit = name.rpartition("_")[2]
            self._fault(name, f"it is {value!r}", f"Write a whole number from 0 to {MOST:,} (unit: {unit})")
            return 0
        return value

    def _fault(self, name: str, what: str, remedy: str) -> None:
        self.problems.append(Problem(f"{self.where}.{name}", what, remedy))
