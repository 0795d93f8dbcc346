"""Decisions are numbered: each page's heading says the number of its file, and no two have the same."""

from pathlib import Path

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"


def test_each_decision_is_headed_by_the_number_of_its_file() -> None:
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    headings = {
        page.name: page.read_text(encoding="utf-8").partition(" ")[2].partition(" ")[0] for page in pages
    }

    assert headings == {page.name: f"{int(page.name[:4])}." for page in pages}
    assert len({page.name[:4] for page in pages}) == len(pages) > 0
