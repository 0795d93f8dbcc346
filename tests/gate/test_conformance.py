"""The conformance kit: our own gate passes it, and a gate with any check left out does not."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hansa.codes import CODE_LENGTH_MAX, PREFIX, REASONS, VerifiedCode, base45_decode, base45_encode
from hansa.gate import OK, Gate, conformance
from hansa.gate.conformance import DENY_REFUSED, LIST_REFUSED, SETTINGS_REFUSED, Question, Report
from hansa.gate.verifier import Verifier

ASKED = conformance.questions()
WRITTEN_DOWN = [question for question in ASKED if not question.case.startswith("spoilt/")]


def answers(asked: list[Question] = ASKED) -> dict[str, str]:
    verifier = Verifier()
    return {question.case: verifier.answer(question.ask) for question in asked}


@pytest.fixture(scope="module")
def ours() -> dict[str, str]:
    return answers()


@pytest.mark.parametrize("question", WRITTEN_DOWN, ids=lambda question: question.case)
def test_each_question_gets_its_answer(question: Question, ours: dict[str, str]) -> None:
    assert ours[question.case] == question.expect


def test_nothing_spoilt_is_let_in_and_each_refusal_has_its_reason(ours: dict[str, str]) -> None:
    spoilt = [question for question in ASKED if question.case.startswith("spoilt/")]

    assert {question.case for question in spoilt if question.expect == OK} == {
        "spoilt/a fresh gate a",
        "spoilt/and the small code itself",
        "spoilt/and the large code itself",
    }
    assert [question.case for question in spoilt if ours[question.case] != question.expect] == []


def test_every_bit_of_two_codes_is_flipped_and_every_length_is_cut() -> None:
    names = {question.case for question in ASKED}
    texts = {question.case: question.ask.get("text", "") for question in ASKED}
    small, large = (
        base45_decode(texts[f"spoilt/and the {size} code itself"][len(PREFIX) :])
        for size in ("small", "large")
    )

    assert (len(small), len(large)) == (238, CODE_LENGTH_MAX)
    for size, data in (("small", small), ("large", large)):
        for bit in range(len(data) * 8):
            name = f"spoilt/{size} code, byte {bit // 8}, bit {bit % 8} flipped"
            flipped = base45_decode(texts[name][len(PREFIX) :])
            assert int.from_bytes(flipped, "big") ^ int.from_bytes(data, "big") == 1 << (
                (len(data) - 1 - bit // 8) * 8 + bit % 8
            )
    assert {f"spoilt/cut to {length} bytes" for length in range(238)} <= names
    assert {
        f"spoilt/cut to {length} characters" for length in range(len(PREFIX + base45_encode(small)))
    } <= names


def test_the_kit_names_each_question_once_and_asks_for_every_reason() -> None:
    names = Counter(question.case for question in ASKED)

    assert [name for name, count in names.items() if count > 1 and "a fresh gate" not in name] == []
    refused = {LIST_REFUSED, DENY_REFUSED, SETTINGS_REFUSED, *REASONS}
    assert {question.expect for question in WRITTEN_DOWN} == {OK, *refused}


def test_the_same_seed_gives_the_same_kit_and_another_seed_another() -> None:
    first, again, other = (list(conformance.kit_lines(seed)) for seed in (1, 1, 2))

    assert first == again
    assert conformance.read_kit(first) == ASKED
    assert len(first) == len(other) == len(ASKED) + 1
    assert not {line for line in first if '"honest/' in line} & set(other)
    assert all(line.isascii() for line in first)


def test_our_gate_conforms_whatever_the_seed() -> None:
    for seed in (2, 3):
        asked = conformance.questions(seed)
        told = answers(asked)
        assert [question.case for question in asked if told[question.case] != question.expect] == []


def test_a_flipped_code_leaves_no_trace_at_the_gate() -> None:
    verifier = Verifier()

    for question in ASKED:
        if question.case.startswith("spoilt/") and "itself" not in question.case:
            verifier.answer(question.ask)

    gate = verifier._gates["a"]
    assert (gate.pending(), gate._memory.counters) == ([], {})


# -- the kit has teeth: whatever check a vendor forgets, some question shows it ------------------------------------


def is_true(*_: object) -> bool:
    return True


def is_false(*_: object) -> bool:
    return False


def by_cti(code: VerifiedCode) -> bytes:
    return code.cti


OTHER_TOKEN = "replay/is another token when another issuer gives it"
FORGOTTEN: list[tuple[str, str, Any, str]] = [
    ("the twin (r, n - s)", "hansa.codes.ride.is_high_s", is_false, "twin/(r, n - s), 1 of 8"),
    ("the phone's signature", "hansa.codes.ride.check_es256", is_true, "forged/a token of another phone"),
    ("the issuer's signature", "hansa.codes.ride.check_eddsa", is_true, "forged/another key under a listed id"),
    ("the place", "hansa.codes.ride.are_near", is_true, "place/the other side of the world"),
    ("a second too old", "hansa.codes.ride.OLDEST", timedelta(seconds=21), "clock/made -21 s from the gate's clock"),
    ("a second too new", "hansa.codes.ride.NEWEST", timedelta(seconds=31), "clock/made +31 s from the gate's clock"),
    ("a second too strict", "hansa.codes.ride.OLDEST", timedelta(seconds=19), "clock/made -20 s from the gate's clock"),
    ("a token's life", "hansa.codes.ride.TOKEN_LIFE", timedelta(days=9), "token/a week ahead"),
    ("the digits' range", "hansa.codes.ride.CHALLENGE_MAX", 65535, "field/payload 11 is 10000"),
    ("the companions' range", "hansa.codes.ride.COMPANIONS_MAX", 99, "field/payload 8 is 16"),
    ("other suites", "hansa.codes.ride._ANOTHER_SUITE", re.compile("x"), "text/suite 2"),
    ("whose counter it is", "hansa.gate.gate.rider_of", by_cti, "companion/rider 1, counter 7: ok"),
    ("whose token it is", "hansa.gate.gate.rider_of", by_cti, OTHER_TOKEN),
    ("whose cap it is", "hansa.gate.gate._token", by_cti, "offline/another issuer's token of the same id"),
    ("the network", "hansa.gate.gate.Gate._forget_offline_rides", is_false, "offline/counted anew"),
    ("that going out is no ride", "hansa.gate.gate.Gate._begins_ride", True, "offline/going out is no ride"),
    ("what lists are", "hansa.codes.lists.TRUST_LIST_TYPE", None, "honest/a fresh gate a"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "name", "value", "case"), FORGOTTEN, ids=[row[0] for row in FORGOTTEN])
def test_a_gate_that_forgets_a_rule_is_found_out(
    what: str, name: str, value: Any, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name, value)
    area = case.partition("/")[0]
    asked = [question for question in WRITTEN_DOWN if question.case.startswith(f"{area}/")]

    verifier = Verifier()
    wrong = [
        question.case
        for question in asked
        if safely(lambda q=question: verifier.answer(q.ask)) != question.expect
    ]

    assert case in wrong


def safely(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except KeyError:  # a gate that was never set up
        return "nothing"


def test_a_gate_that_forgets_what_it_has_seen_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = Gate.decide

    def forgetful(self: Gate, *args: Any, **kwargs: Any) -> Any:
        self._memory.counters.clear()
        return decide(self, *args, **kwargs)

    monkeypatch.setattr(Gate, "decide", forgetful)

    wrong = [question.case for question in WRITTEN_DOWN if answers_once(question) != question.expect]

    assert "replay/the same code again" in wrong


ONE = Verifier()


def answers_once(question: Question) -> str:
    return ONE.answer(question.ask)


# -- the runner -------------------------------------------------------------------------------------------------

SOME = [question for question in ASKED if question.case.startswith(("honest/", "replay/"))]
OUR_PROGRAM = [sys.executable, "-m", "hansa.gate.verifier"]


def asked_of(program: list[str]) -> Report:
    """What comes of asking it some questions, however busy the machine is."""
    return conformance.run(program, SOME, timeout_s=60, start_s=60)


def program(tmp_path: Path, body: str) -> list[str]:
    """A verifier of a few lines: for each question it runs ``body``, which may call ``say(id, reason)``."""
    file = tmp_path / "verifier.py"
    file.write_text(
        "import json, os, sys, time\n"
        "def say(number, reason, **more):\n"
        "    print(json.dumps({'id': number, 'reason': reason, **more}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    question = json.loads(line)\n"
        "    number = question['id']\n" + "".join(f"    {row}\n" for row in body.splitlines())
    )
    return [sys.executable, str(file)]


def test_our_own_gate_passes_as_a_program() -> None:
    report = conformance.run(OUR_PROGRAM, ASKED, timeout_s=60)

    assert (report.conforms, report.answered, report.broke_off) == (True, len(ASKED), "")
    assert json.loads(json.dumps(report.json()))["conforms"] is True


def test_the_program_is_not_told_what_to_answer(tmp_path: Path) -> None:
    report = asked_of(
        program(tmp_path, "say(number, 'ok' if set(question) & {'case', 'expect'} else 'replay')")
    )

    assert {wrong.answer for wrong in report.wrong} == {"replay"}


def test_wrong_answers_are_told_apart(tmp_path: Path) -> None:
    trusting = asked_of(program(tmp_path, "say(number, 'ok')"))
    strict = asked_of(program(tmp_path, "say(number, 'revoked')"))
    let_in = [number for number, question in enumerate(SOME, 1) if question.expect == OK]
    vague = asked_of(program(tmp_path, f"say(number, 'ok' if number in {let_in} else 'revoked')"))
    refused = sum(question.expect != OK for question in SOME)

    assert (len(trusting.let_in), len(trusting.shut_out), len(trusting.misnamed)) == (refused, 0, 0)
    assert (len(strict.shut_out), len(strict.misnamed)) == (len(SOME) - refused, refused)
    assert (vague.is_safe, vague.conforms, len(vague.misnamed)) == (True, False, refused)
    assert trusting.by_area["replay"] == [
        22,
        22 - sum(q.expect != OK for q in SOME if q.case.startswith("replay/")),
    ]


# What a program does | the words that tell its maker
BROKEN = [
    ("pass", "No answer within 1 s to question 1, honest/a fresh gate a. Does the program write its output through"),
    ("time.sleep(60)", "No answer within 1 s"),
    ("sys.exit(7)", "The program ended with exit code 7 instead of answering question 1"),
    ("os.kill(os.getpid(), 9)", "The program ended by signal 9"),
    ("raise ValueError('no such curve')", "It wrote to its standard error:\nTraceback"),
    ("print('ready', flush=True)", "is no JSON: ready Only answers go to standard output"),
    ("print('[' * 9999, flush=True)", "is no JSON: [[["),
    ("print(5, flush=True)", 'not of the form {"id": 1, "reason": "ok"}: 5'),
    ("print('{}', flush=True)", "not of the form"),
    ("print(flush=True)", "is no JSON"),
    ("sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush()", "is no JSON"),
    ("say(number + 1, 'ok')", "has the id 2, not 1. Each question gets one answer, in order"),
    ("say(True, 'ok')", "has the id True"),
    ("say(number, 'fine')", "has the reason 'fine', which HRC-1 does not have. There are: bad_code_signature"),
    ("say(number, ['ok'])", "has the reason ['ok']"),
    ("say(number, 'ok'); say(number, 'ok')", "has the id 1, not 2"),
    ("while True: sys.stdout.write('x' * 65536); sys.stdout.flush()", "is no line: xxx"),
    ("while True: say(0, 'ok')", "has the id 0, not 1"),
    ("os.close(1); time.sleep(60)", "The program ended its output instead of answering"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "told"), BROKEN, ids=[body for body, _ in BROKEN])
def test_a_program_that_breaks_the_protocol_is_told_how(body: str, told: str, tmp_path: Path) -> None:
    patience_s = 1 if "No answer" in told else 60
    report = conformance.run(program(tmp_path, body), SOME, timeout_s=patience_s, start_s=patience_s)

    assert told in report.broke_off
    assert not report.conforms
    assert not report.is_safe


def test_a_program_that_hangs_half_way_is_ended_with_its_children(tmp_path: Path) -> None:
    left = tmp_path / "left"
    body = f"""if number < 5:
    say(number, 'ok')
else:
    if os.fork() == 0:
        time.sleep(6)
        open({str(left)!r}, 'w').close()
    time.sleep(60)"""

    report = conformance.run(program(tmp_path, body), SOME, timeout_s=2, start_s=60)

    assert report.answered == 4
    assert "No answer within 2 s to question 5" in report.broke_off
    assert not left.exists()


def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(conformance.VerifierFailed, match="cannot be started: No such file"):
        conformance.run(["/no/such/program"], SOME)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["{"], "Line 1"),
        (['{"kit": "HRC-2", "version": 2}'], "Line 1 is no line of a kit: it is a kit of another kind"),
        (['{"kit": "HRC-1", "version": 1}'], "Line 1 is no line of a kit: it is a kit of another kind"),
        (['{"kit": "HRC-1", "version": 2}', "[]"], "Line 2"),
        (
            ['{"kit": "HRC-1", "version": 2}', '{"id": 1, "case": "a/b"}'],
            "Line 2 is no line of a kit: 'expect'",
        ),
    ],
)
def test_a_file_that_is_no_kit_is_told(lines: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        conformance.read_kit(lines)
