"""What strangers write: what is shown to others, and what a table of cells carries."""

import csv
import io

import pytest

from hansa.kernel import cell_text, fault_of_text
from hansa.reports.tables import to_csv

UNSEEN, MARKS, MIXED = "cannot be seen", "more marks", "look alike"
TEXTS = [
    # what is written, what is wrong with it as a text, and as a name
    ("Two pots of tea, and a cake for 12.50", "", ""),
    ("西湖茶庄", "", ""),
    ("שלום עולם", "", ""),
    ("مقهى البحيرة", "", ""),
    ("نیم‌فاصله", "", ""),  # Persian, with a joiner inside
    ("क्षत्रिय चाय", "", ""),
    ("Trà đá Việt Nam", "", ""),
    ("👩‍👩‍👧 tea 🍵", "", ""),
    ("Pay \u202e00.1¥ to Ann", UNSEEN, UNSEEN),
    ("\u2066Ann\u2069", UNSEEN, UNSEEN),
    ("Te\u200ba", UNSEEN, UNSEEN),
    ("Tea\u00ad house", UNSEEN, UNSEEN),
    ("Tea\U000e0041", UNSEEN, UNSEEN),
    ("Tea\r\nPaid: yes", UNSEEN, UNSEEN),
    ("Tea\u2028Paid: yes", UNSEEN, UNSEEN),
    ("Tea \x1b[2K", UNSEEN, UNSEEN),
    ("Tea\0", UNSEEN, UNSEEN),
    ("Tea\ud800", UNSEEN, UNSEEN),
    ("T" + "\u0336\u0353" * 20, MARKS, MARKS),
    ("Tеа house", "", MIXED),  # the second and third letters are Cyrillic
    ("Καφέ Bar", "", ""),
    ("Aρple", "", MIXED),
]


@pytest.mark.parametrize(("text", "fault", "of_name"), TEXTS)
def test_what_would_mislead_whoever_reads_it_is_named(text: str, fault: str, of_name: str) -> None:
    for found, expected in ((fault_of_text(text), fault), (fault_of_text(text, is_name=True), of_name)):
        assert (expected in found) if expected else found == "", ascii(text)


CELLS = [
    ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
    ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
    ("-2+3", "'-2+3"),
    ("@SUM(1)", "'@SUM(1)"),
    ("\t=1", "'\t=1"),
    ("\r=1", "'\r=1"),
    ("＝1+1", "'＝1+1"),
    ("-12.50", "-12.50"),
    ("-", "'-"),
    ("Tea = good", "Tea = good"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "cell"), CELLS)
def test_no_spreadsheet_takes_a_text_for_a_formula(text: str, cell: str) -> None:
    assert cell_text(text) == cell
    table = to_csv([("what", str), ("minor", int)], [(text, -5)]).decode()
    assert list(csv.reader(io.StringIO(table, newline=""))) == [["what", "minor"], [cell, "-5"]]
