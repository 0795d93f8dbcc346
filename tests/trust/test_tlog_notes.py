"""Signed notes, checkpoints and cosignatures, beside the published examples of their specifications."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.trust import tlog
from hansa.trust.tlog import (
    BadCheckpoint,
    BadNote,
    BadSignature,
    BadVerifierKey,
    Checkpoint,
    KeyKind,
    Note,
    NotSigned,
    VerifierKey,
)
from trust.tlog_books import NOON, ORIGIN, books, cosigned, key_of, witness_key

FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
SOFA = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 \
jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""
POEM = """\
Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore \
NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
"""


def test_the_published_note_verifies_with_its_published_key() -> None:
    key = VerifierKey.parse(FOO)

    signed = Note.parse(FOO_NOTE).verify([key])

    assert [each.key for each in signed] == [key]
    assert signed[0].at is None
    assert str(key) == FOO
    assert (key.name, key.kind, key.key_id.hex()) == ("example.com/foo", KeyKind.ED25519, "530d903a")


def test_the_published_checkpoint_reads_as_it_says() -> None:
    note = Note.parse(SOFA)
    checkpoint = Checkpoint.parse(note.text)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.text == note.text
    assert [each.name for each in note.signatures] == [
        "example.com/behind-the-sofa",
        "witness.example.com/w1",
    ]
    assert int.from_bytes(note.signatures[1].value[:8], "big") == 1_679_315_147
    assert str(note) == SOFA


def test_the_text_ends_at_the_last_empty_line() -> None:
    note = Note.parse(POEM)

    assert note.text.endswith("raggio di sole:\n\ned è subito sera.\n")
    assert str(note) == POEM


def test_a_cosignature_signs_the_time_and_the_whole_text() -> None:
    note = Note.parse(SOFA)
    signature = tlog.cosign(
        note.text, name="w", key=key_of("w"), at=datetime.fromtimestamp(1_679_315_147, UTC)
    )

    key_of("w").public_key().verify(
        signature.value[8:],
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    )
    assert signature.value[:8].hex() == "00000000641850cb"
    assert Note(note.text, (signature,)).verify([witness_key("w")])[0].at == datetime(
        2023, 3, 20, 12, 25, 47, tzinfo=UTC
    )


def test_what_one_kind_of_key_signed_the_other_kind_does_not_verify() -> None:
    checkpoint = books(5).checkpoint(5)
    as_witness = VerifierKey.of(books(5).key, ORIGIN, KeyKind.COSIGNATURE)

    with pytest.raises(NotSigned):
        checkpoint.verify([as_witness])


def test_signatures_of_strangers_are_passed_over() -> None:
    note = cosigned(books(5).checkpoint(5), ["paris.example/w", "rome.example/w"])
    namesake = VerifierKey.of(key_of("another"), "rome.example/w", KeyKind.COSIGNATURE)

    signed = note.verify([witness_key("paris.example/w"), namesake])

    assert [each.key.name for each in signed] == ["paris.example/w"]
    assert signed[0].at == NOON
    with pytest.raises(NotSigned):
        note.verify([namesake])
    with pytest.raises(NotSigned):
        note.verify([])


def test_a_false_signature_in_a_known_name_spoils_the_note() -> None:
    note = cosigned(books(5).checkpoint(5), ["paris.example/w"])
    false = tlog.Signature("paris.example/w", witness_key("paris.example/w").key_id, bytes(72))

    for spoilt in (note.with_signatures([false]), Note(note.text, (false, *note.signatures))):
        with pytest.raises(BadSignature):
            spoilt.verify([books(5).verifier_key, witness_key("paris.example/w")])
        assert len(spoilt.verify([books(5).verifier_key])) == 1


def test_a_key_that_signs_twice_counts_once() -> None:
    note = books(5).checkpoint(5)
    twice = cosigned(cosigned(note, ["a"]), ["a"], datetime(2027, 1, 1, tzinfo=UTC))

    assert len(twice.signatures) == 3
    assert len(twice.verify([witness_key("a")])) == 1


@given(st.integers(0, 10**6), st.integers(0, 255))
@settings(deadline=None)
def test_a_changed_byte_is_noticed(place: int, value: int) -> None:
    city = books(5)
    whole = bytearray(str(city.checkpoint(5)).encode())
    before = whole[place % len(whole)]
    whole[place % len(whole)] = value

    if value == before:
        city.checkpoint(5).verify([city.verifier_key])
    else:
        with pytest.raises((BadNote, BadSignature, NotSigned)):
            Note.parse(bytes(whole)).verify([city.verifier_key])


SIGNATURE = "— a AAAAAAE="


@pytest.mark.parametrize(
    "whole",
    [
        "",
        "text\n",
        f"text\n{SIGNATURE}\n",
        f"text\n\n{SIGNATURE}",
        f"text\n\n{SIGNATURE}\n\n",
        "text\n\n",
        "text\n\n- a AAAAAAE=\n",
        "text\n\n—a AAAAAAE=\n",
        "text\n\n—  AAAAAAE=\n",
        "text\n\n— a+b AAAAAAE=\n",
        "text\n\n— a\u00a0b AAAAAAE=\n",
        "text\n\n— a b AAAAAAE=\n",
        "text\n\n— a AAAAAA==\n",
        "text\n\n— a AAAAAAE\n",
        "text\n\n— a AAAAAAF=\n",
        "text\n\n— a AAAA-AE=\n",
        f"te\txt\n\n{SIGNATURE}\n",
        f"text\r\n\n{SIGNATURE}\n",
        f"te\x00xt\n\n{SIGNATURE}\n",
        f"text\n\n{SIGNATURE}\r\n",
        b"te\xffxt\n\n" + f"{SIGNATURE}\n".encode(),
        f"te\ud800xt\n\n{SIGNATURE}\n",
        "text\n\n" + f"{SIGNATURE}\n" * 65,
        "x" * 2**19 + f"\n\n{SIGNATURE}\n",
    ],
)
def test_what_is_no_note_is_refused(whole: str | bytes) -> None:
    with pytest.raises(BadNote):
        Note.parse(whole)


def test_sixteen_signatures_and_more_are_taken() -> None:
    note = cosigned(books(5).checkpoint(5), [f"w{number}" for number in range(40)])

    assert len(Note.parse(str(note)).verify([witness_key(f"w{number}") for number in range(40)])) == 40


ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


@pytest.mark.parametrize(
    "text",
    [
        f"a\n5\n{ROOT}",
        "a\n5\n",
        f"\n5\n{ROOT}\n",
        f"a\n05\n{ROOT}\n",
        f"a\n+5\n{ROOT}\n",
        f"a\n-5\n{ROOT}\n",
        f"a\n 5\n{ROOT}\n",
        f"a\n٥\n{ROOT}\n",
        f"a\n1e3\n{ROOT}\n",
        f"a\n{2**63}\n{ROOT}\n",
        f"a\n5\n{ROOT[:-1]}\n",
        f"a\n5\n{ROOT[:-2]}J=\n",
        "a\n5\nAAAA\n",
        f"a\n5\n{ROOT}\n\n",
        f"a\n5\n{ROOT}\n\nmore\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadCheckpoint):
        Checkpoint.parse(text)


def test_further_lines_are_kept_and_signed() -> None:
    checkpoint = Checkpoint(ORIGIN, 0, tlog.EMPTY_ROOT, ("one", "two"))

    note = tlog.sign_checkpoint(checkpoint, books(1).key)

    assert Checkpoint.parse(note.text) == checkpoint
    assert note.text == f"{ORIGIN}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\none\ntwo\n"
    assert note.verify([books(1).verifier_key])


@pytest.mark.parametrize("origin", ["", "a\nb", "a\tb"])
def test_a_log_needs_a_name_of_one_line(origin: str) -> None:
    with pytest.raises(BadCheckpoint):
        Checkpoint(origin, 0, tlog.EMPTY_ROOT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        FOO.replace("530d903a", "530d903b"),
        FOO.replace("530d903a", "530D903A"),
        FOO.replace("example.com/foo", "example.com/bar"),
        FOO.replace("example.com/foo", ""),
        FOO.replace("example.com/foo", "example com"),
        FOO + "AA",
        FOO[:-4],
        FOO.replace("+Aek", "+Auk"),
        FOO.replace("+", " "),
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(BadVerifierKey):
        VerifierKey.parse(text)


def test_a_witness_key_is_told_from_a_log_key_of_the_same_bytes() -> None:
    log, witness = (VerifierKey.of(key_of("x"), "x", kind) for kind in (KeyKind.ED25519, KeyKind.COSIGNATURE))

    assert log.key_id != witness.key_id
    assert VerifierKey.parse(str(witness)) == witness
