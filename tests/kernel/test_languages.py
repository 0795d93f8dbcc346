"""Which language a reader gets."""

import pytest

from hansa.kernel import accepted_languages, choose_language

SERVED = ("en", "zh")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-Hans-CN, en;q=0.5", "zh"),
        ("fr-FR, fr;q=0.9, zh;q=0.4, en;q=0.3", "zh"),
        ("en;q=0.2, zh;q=0.8", "zh"),
        ("ZH-TW", "zh"),
        ("fr, *;q=0.1", "en"),
        ("zh;q=0, en", "en"),
        ("fr, ja", "en"),
        ("zh;q=lots, zh;q=7, zh;v=1, ;;;,,", "en"),
    ],
)
def test_the_most_wanted_language_that_is_served(header: str, language: str) -> None:
    assert choose_language(accepted_languages(header), SERVED) == language


def test_a_header_without_end_is_read_in_part() -> None:
    assert len(accepted_languages("zh," * 10_000)) == 32
