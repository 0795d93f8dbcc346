"""``hansa gate``: what a vendor reads, and the exit code that a build goes by."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hansa.apps.gate_commands import gate_app
from hansa.gate import conformance

OURS = [sys.executable, "-m", "hansa.gate.verifier"]


def hansa_gate(*words: str, given: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(gate_app, words, input=given)
    return result.exit_code, " ".join(result.output.split())


def program(tmp_path: Path, body: str) -> list[str]:
    file = tmp_path / "verifier.py"
    file.write_text(
        f"import json, sys\nfor line in sys.stdin:\n    question = json.loads(line)\n    {body}\n"
    )
    return [sys.executable, str(file)]


SAY = "print(json.dumps({{'id': question['id'], 'reason': {}}}), flush=True)"


def test_a_verifier_that_conforms() -> None:
    code, told = hansa_gate("conformance", "--only", "replay", "--timeout", "60", "--", *OURS)

    assert code == 0
    assert "It conforms to HRC-1." in told
    assert "│ replay │ 22 │ 22 │ │" in told


def test_a_verifier_that_takes_anything(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ask = ["conformance", "--only", "twin", "--timeout", "60", "--report", str(report), "--"]

    code, told = hansa_gate(*ask, *program(tmp_path, SAY.format("'ok'")))

    assert code == 1
    assert "Let in, and must be refused: 9" in told
    assert "twin/(r, n - s), 1 of 8: ok, not high_s" in told
    assert "It does not conform to HRC-1." in told
    assert json.loads(report.read_text())["wrong"][0] == {
        "case": "twin/(r, n - s), 1 of 8",
        "expect": "high_s",
        "answer": "ok",
    }


def test_a_verifier_that_refuses_rightly_for_another_reason(tmp_path: Path) -> None:
    refused = [
        question.expect != "ok" for question in conformance.questions() if question.case.startswith("twin/")
    ]
    vague = program(tmp_path, SAY.format(f"'malformed' if {refused}[question['id'] - 1] else 'ok'"))
    ask = ["conformance", "--only", "twin", "--timeout", "60"]

    strict, told = hansa_gate(*ask, "--", *vague)
    lenient, told_less = hansa_gate(*ask, "--verdicts-only", "--", *vague)

    assert (strict, lenient) == (1, 0)
    assert "every verdict is right, but reasons differ" in told
    assert "Every verdict is right." in told_less


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["conformance", "--", "/no/such/program"], 3, "/no/such/program cannot be started"),
        (["conformance", "--", sys.executable, "-c", "raise SystemExit(7)"], 3, "ended with exit code 7"),
        (["conformance", "--", sys.executable, "-c", "print('hello')"], 3, "is no JSON: hello"),
        (["conformance", "--only", "weather", "--", "x"], 2, "There is no area weather."),
        (["conformance"], 2, "Missing argument"),
    ],
)
def test_what_is_wrong_is_told(words: list[str], code: int, told: str) -> None:
    assert (hansa_gate(*words)[0], told in hansa_gate(*words)[1]) == (code, True)


def test_a_kit_is_written_and_asked_from(tmp_path: Path) -> None:
    file, again = tmp_path / "kit.jsonl", tmp_path / "again.jsonl"

    assert hansa_gate("kit", str(file), "--seed", "5")[0] == 0
    assert hansa_gate("kit", str(again), "--seed", "5")[0] == 0

    assert file.read_bytes() == again.read_bytes()
    ask = ["conformance", "--kit", str(file), "--only", "digits", "--timeout", "60"]
    assert hansa_gate(*ask, "--", *OURS)[0] == 0


def test_a_kit_can_be_piped_into_a_verifier(tmp_path: Path) -> None:
    file = tmp_path / "kit.jsonl"
    hansa_gate("kit", str(file))
    with file.open() as kit:
        asked = [json.loads(line) for line in kit][1:300]

    code, told = hansa_gate("verifier", given="".join(json.dumps(line) + "\n" for line in asked))

    assert code == 0
    answers = [json.loads(f"{{{answer}}}") for answer in told.strip("{}").split("} {")]
    assert answers == [{"id": line["id"], "reason": line["expect"]} for line in asked]


def test_a_file_that_is_no_kit(tmp_path: Path) -> None:
    file = tmp_path / "kit.jsonl"
    file.write_text("{}\n")

    code, told = hansa_gate("conformance", "--kit", str(file), "--", *OURS)

    assert code == 2
    assert "Line 1 is no line of a kit" in " ".join(told.replace("│", "").split())
