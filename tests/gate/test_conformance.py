"""Our own gate against the conformance kit that every vendor's gate is measured with."""

import json

import pytest

from hansa.codes import REASONS
from hansa.gate import OK, Gate, conformance
from hansa.gate.conformance import REFUSED

CASES = conformance.cases()
NAMED = [case for case in CASES if case.verdict != REFUSED]


@pytest.fixture(scope="module")
def verdicts() -> dict[str, str]:
    gates: dict[str, Gate] = {}
    found: dict[str, str] = {}
    for case in CASES:
        gate = gates.setdefault(case.product, conformance.gate(case.product))
        found[case.name] = gate.decide(case.text, case.now).reason
    return found


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case.name)
def test_each_code_gets_its_verdict(case: conformance.Case, verdicts: dict[str, str]) -> None:
    assert verdicts[case.name] == case.verdict


def test_no_single_bit_flip_is_accepted(verdicts: dict[str, str]) -> None:
    flips = [case for case in CASES if case.verdict == REFUSED]

    accepted = [case.name for case in flips if verdicts[case.name] == OK]

    assert len(flips) == 240 * 8
    assert accepted == []
    assert {verdicts[case.name] for case in flips} <= set(REASONS)


def test_a_flipped_code_leaves_no_trace_at_the_gate() -> None:
    gate = conformance.gate()

    for case in CASES:
        if case.verdict == REFUSED:
            gate.decide(case.text, case.now)

    assert gate.pending() == []


def test_the_kit_names_every_case_once_and_every_reason_a_code_can_have() -> None:
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names)
    assert {case.verdict for case in NAMED} | {"trust_list_expired"} == {OK, *REASONS}


def test_the_kit_is_the_same_each_time_and_fits_json() -> None:
    first, second = json.dumps(conformance.kit()), json.dumps(conformance.kit())

    assert first == second
    assert len(json.loads(first)["cases"]) == len(CASES)
