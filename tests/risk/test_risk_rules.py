"""Rules are data: what is wrong with them is told field by field, and a case names the rules that judged it."""

from datetime import timedelta

import pytest

from hansa import risk
from hansa.risk.rules import KINDS
from hansa.store import Context
from risk.seeing import NOON

GOOD = """
[[rule]]
name = "too_often"
kind = "velocity"
severity = "low"
does = []
words = "Too often."
window_s = 60
starts_max = 3
"""


def test_the_rules_that_come_with_hansa_use_every_kind() -> None:
    rules = risk.own_rules().rules

    assert {rule.kind for rule in rules} == set(KINDS)
    assert len({rule.name for rule in rules}) == len(rules)


@pytest.mark.parametrize(
    ("change", "where", "remedy"),
    [
        (("window_s = 60", "window_s = -1"), "rule 1 (too_often).window_s", "unit: s"),
        (("window_s = 60", "window_s = true"), "rule 1 (too_often).window_s", "whole number"),
        (("window_s = 60", ""), "rule 1 (too_often).window_s", "whole number"),
        (("window_s", "windows"), "rule 1 (too_often).windows", "window_s, starts_max"),
        (('"low"', '"grave"'), "rule 1 (too_often).severity", "low, medium, high"),
        (('"velocity"', '"hunch"'), "rule 1 (too_often).kind", "copied_code"),
        (("does = []", 'does = ["arrest"]'), "rule 1 (too_often).does", "rotate"),
        (("does = []", 'does = "rotate"'), "rule 1 (too_often).does", "list"),
        (('"too_often"', '"Too often"'), "rule 1 (Too often).name", "small letters"),
        (('"Too often."', '""'), "rule 1 (too_often).words", "words"),
        (("[[rule]]", "[rule]"), "rule", "[[rule]]"),
        (("[[rule]]", "mode = 1\n[[rule]]"), "mode", "Only [[rule]]"),
        (("= 60", "="), "rules.toml", "TOML"),
        ((GOOD, GOOD + GOOD), "rule 2 (too_often).name", "name of its own"),
    ],
)
def test_a_bad_field_is_named_with_its_remedy(change: tuple[str, str], where: str, remedy: str) -> None:
    with pytest.raises(risk.BadRules) as refused:
        risk.read_rules(GOOD.replace(*change))

    found = [problem for problem in refused.value.problems if problem.where == where]
    assert len(found) >= 1
    assert remedy in found[0].remedy


def test_rules_get_a_version_only_when_they_change(ctx: Context) -> None:
    first, second = risk.read_rules(GOOD), risk.read_rules(GOOD.replace("60", "90"))

    with ctx.tx() as tx:
        versions = [
            risk.use_rules(tx, rules, NOON + timedelta(hours=hour))
            for hour, rules in enumerate((first, first, second, second, first))
        ]
        version, in_force = risk.rules_in_force(tx)

    assert versions == [1, 1, 2, 2, 3]
    assert version == 3
    assert in_force.rules == first.rules
