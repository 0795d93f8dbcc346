"""Texts that strangers write and others read: what may stand in one, and how a table of cells carries it."""

import unicodedata

MARKS_MAX = 6
"""Combining marks on one letter: no orthography stacks more, and a pile of them paints over the lines around it."""

JOINERS = "\u200c\u200d"
"""Persian and Indic words, and emoji of several people, are spelt with these; no other unseen character is let in."""

ALIKE = ("LATIN", "CYRILLIC", "GREEK")
"""Scripts with letters that look the same. A word is written in one of them."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""With what spreadsheets take a cell for a formula, full-width signs too."""


def fault_of_text(text: str, *, is_name: bool = False) -> str:
    """What makes a line of text unfit to be shown to another person, or empty: ``it holds a character that …``.

    Refused are control characters and line ends, what turns the direction in which the rest is read (U+202A to U+202E,
    U+2066 to U+2069) and other characters that cannot be seen, halves of characters, and more than ``MARKS_MAX`` marks
    on one letter. is_name: it says who somebody is, so a word may not mix letters that look alike either.
    Source: Unicode Technical Report 36, sections 2 and 3; UTS 39, section 5.
    """
    if text.isascii() and text.isprintable():
        return ""
    marks = 0
    for letter in text:
        kind = unicodedata.category(letter)
        if kind in ("Cc", "Zl", "Zp", "Cs", "Co") or (kind == "Cf" and letter not in JOINERS):
            return "it holds a character that cannot be seen"
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks > MARKS_MAX:
            return "it holds more marks on one letter than any writing has"
    if is_name and any(len(_alike_in(word)) > 1 for word in text.split()):
        return "a word of it mixes letters of different alphabets that look alike"
    return ""


def cell_text(text: str) -> str:
    """The text as a cell of a table that a spreadsheet may open: one that it would take for a formula gets a ``'``.

    What is a plain number stays one. Source: OWASP, CSV injection.
    """
    if not text.startswith(FORMULA) or _is_number(text):
        return text
    return f"'{text}"


def _alike_in(word: str) -> set[str]:
    """Which of the scripts that look alike are in a word."""
    first = {unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()}
    return first.intersection(ALIKE)


def _is_number(text: str) -> bool:
    whole, _, fraction = text.removeprefix("-").partition(".")
    return (
        whole.isascii() and whole.isdigit() and (not fraction or (fraction.isascii() and fraction.isdigit()))
    )
