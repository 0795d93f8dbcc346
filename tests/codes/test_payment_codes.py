"""EMVCo payment codes: made and read, the world's published ones as well, and refused with the reason."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.codes import emvco
from hansa.codes.emvco import AdditionalData, Field, PaymentCodeRefused, Tip
from hansa.codes.emvco.consumer import DataObject
from hansa.codes.emvco.currencies import NUMERIC
from hansa.codes.emvco.merchant import ASK
from hansa.kernel import CURRENCY_EXPONENTS, Money
from published import published

PIX = Field("26", "", (Field("00", "br.gov.bcb.pix"), Field("01", "shop@example.org")))
ANYWHERE = Field("30", "", (Field("00", "org.example"), Field("07", "x")))
SHOP = "00020101021126380014br.gov.bcb.pix0116shop@example.org52045812530398654045.005802BR5905Praca6006Recife6304E624"


def shop(**more: Any) -> str:
    said: dict[str, Any] = {"name": "Praca", "city": "Recife", "country": "BR", "currency": "BRL"}
    return emvco.make_merchant_code([PIX], **(said | more))


def refused(text: str, *, strict: bool = False) -> PaymentCodeRefused:
    with pytest.raises(PaymentCodeRefused) as told:
        emvco.read_merchant_code(text, strict=strict)
    return told.value


def sealed(body: str) -> str:
    return f"{body}6304{emvco.crc_of(body + '6304')}"


def test_the_checksum_is_that_of_the_standard() -> None:
    assert emvco.crc_of("123456789") == "29B1"  # the check value of CRC-16/IBM-3740, known as CCITT-FALSE


def test_what_a_shop_made_is_what_a_payer_reads() -> None:
    text = shop(
        amount=Money(1250, "BRL"),
        category="5812",
        tip=Tip("percentage", Decimal("12.5")),
        postal_code="50030",
        additional=AdditionalData(bill_number="A-17", terminal_label="2", purpose=ASK),
        local=("pt", "Praça", "Recife"),
    )

    code = emvco.read_merchant_code(text, strict=True)

    assert (code.is_dynamic, code.money, code.tip) == (
        True,
        Money(1250, "BRL"),
        Tip("percentage", Decimal("12.5")),
    )
    assert (code.merchant_name, code.merchant_city, code.country, code.category) == (
        "Praca",
        "Recife",
        "BR",
        "5812",
    )
    assert code.additional == AdditionalData(bill_number="A-17", terminal_label="2", purpose=ASK)
    assert code.local_name == ("pt", "Praça", "Recife")
    assert code.profile is not None and code.profile.name == "Pix"
    assert [one.values for one in code.accounts] == [{"key": "shop@example.org"}]
    assert code.problems == ()


def test_without_an_amount_it_is_for_many_payments() -> None:
    code = emvco.read_merchant_code(shop())

    assert (code.is_dynamic, code.money, code.amount, code.tip) == (False, None, None, None)


@pytest.mark.parametrize(
    ("change", "field", "what"),
    [
        ({"name": "x" * 26}, "59", "26 characters"),
        ({"city": "São José do Rio Preto"}, "60", "21 characters"),
        ({"category": "581"}, "52", "3 characters"),
        ({"category": "58I2"}, "52", "no number"),
        ({"currency": "XTS"}, "53", "not there"),
        ({"amount": Money(0, "BRL")}, "54", "zero"),
        ({"amount": Money(1, "HKD")}, "54", "is in HKD"),
        ({"tip": Tip("fixed")}, "56", "not there"),
        ({"tip": Tip("percentage", Decimal(120))}, "57", "120 percent"),
        ({"additional": AdditionalData(purpose="x" * 100)}, "08", "more than 99"),
        ({"extra": [Field("59", "Again")]}, "59", "twice"),
        ({"country": "br"}, "58", "no country"),
        ({"additional": AdditionalData(bill_number="x" * 26)}, "62-01", "26 characters"),
        ({"local": ("pt", "", "Recife")}, "64", "lacks the language or the name"),
        ({"name": "Praca\u202e"}, "59", "cannot be seen"),
        ({"additional": AdditionalData(purpose="tea\0")}, "62-08", "cannot be seen"),
    ],
)
def test_no_code_is_made_that_does_not_keep_to_the_standard(
    change: dict[str, Any], field: str, what: str
) -> None:
    with pytest.raises(PaymentCodeRefused) as told:
        shop(**change)

    assert told.value.reason == "not_allowed"
    assert any(one.where == field and what in one.what for one in told.value.problems), told.value.problems


@pytest.mark.parametrize(
    ("body", "field", "what"),
    [
        ("5802BR", "00", "payload format"),
        ("000201" + "010213", "01", "no way to begin"),
        ("000201" + "5303986", "02-51", "no account"),
        ("000201" + "26160004none0104here" + "5303986", "52", "category"),
        ("000201" + "26080104here", "26", "names no scheme"),
        ("000201" + "26180014BR.GOV.BCB.PIX", "26", "Pix wants one of"),
        ("000201" + "26330014BR.GOV.BCB.PIX0111a@example.z" + "5303840", "53", "Pix pays in BRL"),
        ("000201" + "5303392" + "540510.50", "54", "finer than JPY"),
        ("000201" + "5303986" + "5405-1.00", "54", "no amount"),
        ("000201" + "550204", "55", "no kind of tip"),
        ("000201" + "56041.00", "56", "without 55"),
        ("000201" + "5303986" + "54025\n", "54", "no amount"),
        ("000201" + "5303986" + "5402١٢", "54", "no amount"),
        ("000201" + "5303986" + "5402１２", "54", "no amount"),
        ("000201" + "58022\n", "58", "no country"),
        ("000201" + "6204abcd", "62", "not made of fields"),
        ("000201" + "62100101a0101b", "62-01", "twice"),
        ("000201" + "5903a\0b", "59", "cannot be seen"),
        ("000201" + "5903a\u202eb", "59", "cannot be seen"),
    ],
)
def test_a_code_that_strays_is_read_and_told_of_and_strictly_refused(
    body: str, field: str, what: str
) -> None:
    code = emvco.read_merchant_code(sealed(body))

    assert any(one.where == field and what in one.what for one in code.problems), code.problems
    fault = refused(sealed(body), strict=True)
    assert (fault.reason, fault.problems) == ("not_allowed", code.problems)
    assert all(one.remedy for one in code.problems)


@pytest.mark.parametrize(
    ("text", "reason", "what"),
    [
        ("", "empty", ""),
        ("0" * 5_000, "too_long", "5000 characters"),
        ("https://example.org/pay", "malformed", "no tag and length"),
        (SHOP[:-8], "malformed", "ends with field 60"),
        (SHOP[:-2], "malformed", "ends before"),
        (SHOP[:-4] + "XXXX", "bad_crc", "it says XXXX"),
        (SHOP.replace("5.00", "9.00"), "bad_crc", "the text gives"),
        ("6302AB", "malformed", "no checksum"),
        (SHOP.replace("Praca", "Pr\ud800ca"), "malformed", "half a character"),
    ],
)
def test_what_is_no_code_or_half_a_code_is_refused_with_the_reason(text: str, reason: str, what: str) -> None:
    fault = refused(text)

    assert fault.reason == reason
    assert what in " ".join(str(one) for one in fault.problems)


def test_every_active_currency_may_be_paid_in() -> None:
    for currency in CURRENCY_EXPONENTS:
        text = emvco.make_merchant_code(
            [ANYWHERE], name="Praca", city="Recife", country="BR", currency=currency
        )
        assert emvco.read_merchant_code(text, strict=True).currency == currency
    assert (NUMERIC["566"], NUMERIC["936"]) == ("NGN", "GHS")


@pytest.mark.parametrize(
    "piece", ["0", "0001", "6304", "62990", "26990099", "5050", "é", "0004é", "\0", "\u202e"]
)
def test_a_code_made_to_hurt_is_read_or_refused_at_once(piece: str) -> None:
    for length in (99, 4_288):
        text = (piece * length)[:length]
        with suppress(PaymentCodeRefused):
            emvco.read_merchant_code(sealed(text))
        with suppress(PaymentCodeRefused):
            emvco.read_merchant_code(sealed(text), strict=True)
    nested = ""
    for tag in ("50", "62", "26", "80") * 6:
        nested = f"{tag}{min(len(nested), 99):02}{nested}"
    with suppress(PaymentCodeRefused):
        emvco.read_merchant_code(sealed("000201" + nested))


def test_lengths_may_count_bytes() -> None:
    in_bytes = sealed(
        "0002015910caf\u00e9 crème5802FR"
    )  # eight characters and two more bytes... by UTF-8 twelve
    by_bytes = sealed("0002015912caf\u00e9 crème5802FR")

    assert emvco.read_merchant_code(by_bytes).merchant_name == "café crème"
    assert (emvco.read_merchant_code(in_bytes).unit, emvco.read_merchant_code(by_bytes).unit) == (
        "characters",
        "bytes",
    )


@given(
    st.text(min_size=1, max_size=25).filter(str.isprintable),
    st.integers(min_value=1, max_value=10**9),
    st.sampled_from(["BRL", "CNY", "JPY", "KWD"]),
)
def test_any_shop_is_read_as_it_was_made(name: str, minor: int, currency: str) -> None:
    text = emvco.make_merchant_code(
        [ANYWHERE], name=name, city="Here", country="CN", currency=currency, amount=Money(minor, currency)
    )

    code = emvco.read_merchant_code(text, strict=True)

    assert (code.merchant_name, code.money, code.accounts[0].values) == (
        name,
        Money(minor, currency),
        {"07": "x"},
    )


@given(st.integers(0, len(SHOP) - 1), st.characters(codec="ascii", categories=["Nd", "Lu", "Ll"]))
def test_no_changed_character_goes_through(place: int, letter: str) -> None:
    changed = SHOP[:place] + letter + SHOP[place + 1 :]
    if changed.upper() == SHOP.upper():
        return

    if place >= len(SHOP) - 4 or changed != SHOP:
        refused(changed)


@given(st.text(st.characters(), max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (emvco.read_merchant_code, emvco.read_consumer_code):
        with pytest.raises(PaymentCodeRefused):
            read(text)


def test_what_a_payer_shows_is_read_as_it_was_made() -> None:
    track = bytes.fromhex("6200000000000005D3012201000000000F")
    text = emvco.make_consumer_code([[("4F", bytes.fromhex("A0000003330101")), ("57", track)]])

    code = emvco.read_consumer_code(text)

    assert code.application_id().hex().upper() == "A0000003330101"
    assert code.pan() == "6200000000000005"
    assert code.objects[0] == DataObject("85", b"CPV01")
    for end in range(1, len(text)):
        with pytest.raises(PaymentCodeRefused):
            emvco.read_consumer_code(text[:-end])
    with pytest.raises(PaymentCodeRefused):
        emvco.make_consumer_code([[("50", b"no application")]])


def vectors() -> list[dict[str, Any]]:
    return [json.loads(one) for one in (published("emvco_vectors.jsonl")).read_text().splitlines()]


def test_the_worlds_published_codes_are_read_with_the_same_fields() -> None:
    rows = [one for one in vectors() if one["kind"] in ("mpm_valid", "mpm_valid_bytes_len")]
    assert len(rows) == 131

    for row in rows:
        code = emvco.read_merchant_code(row["payload"])
        assert [(one.tag, one.value) for one in code.fields] == [
            (one[0], one[1]) for one in row["expected"]
        ], row["id"]
        for found, wanted in zip(code.fields, row["expected"], strict=True):
            _same(found, wanted, row["id"])


def _same(found: Field, wanted: list[Any], name: str) -> None:
    """That a field is made of what it should be, wherever the vector says what that is."""
    if len(wanted) < 3:
        return
    assert [(one.tag, one.value) for one in found.inner] == [(one[0], one[1]) for one in wanted[2]], name
    for inner, deeper in zip(found.inner, wanted[2], strict=True):
        _same(inner, deeper, name)


def test_the_worlds_bad_codes_are_refused_for_what_is_wrong_with_them() -> None:
    reasons = {"mpm_bad_crc": "bad_crc", "mpm_malformed": "malformed"}
    rows = [one for one in vectors() if one["kind"] in reasons]
    assert len(rows) == 45

    found = {row["id"]: refused(row["payload"]).reason for row in rows}

    assert found == {row["id"]: reasons[row["kind"]] for row in rows}


def test_the_worlds_payers_codes_are_read_with_the_same_objects() -> None:
    for row in vectors():
        if row["kind"] == "cpm_valid":
            objects = emvco.read_consumer_code(row["payload"]).objects
            assert [_shape(one) for one in objects] == row["expected"], row["id"]
        elif row["kind"] == "cpm_malformed":
            with pytest.raises(PaymentCodeRefused) as told:
                emvco.read_consumer_code(row["payload"])
            assert told.value.reason == "malformed", row["id"]


def _shape(one: DataObject) -> list[Any]:
    return [one.tag, [_shape(inner) for inner in one.inner] if one.inner else one.value.hex().upper()]


def test_whose_a_published_code_is_is_recognised() -> None:
    schemes = {
        "KHQR/Bakong": "KHQR",
        "Pix BR Code": "Pix",
        "PromptPay": "PromptPay",
        "SGQR/PayNow": "PayNow",
        "VietQR/NAPAS": "VietQR",
        "QR Ph": "QR Ph",
    }
    rows = [one for one in vectors() if one["kind"] == "mpm_valid" and one["scheme"] in schemes]

    for row in rows:
        profile = emvco.read_merchant_code(row["payload"]).profile
        if profile is None:
            assert "@" not in row["payload"] and row["scheme"] == "KHQR/Bakong", row["id"]
        else:
            assert profile.name.startswith(schemes[row["scheme"]]), row["id"]
