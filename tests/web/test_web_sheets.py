"""Sheets of pages: what a template names by a class has a rule in a sheet that its page links."""

import re
from pathlib import Path

from hansa.apps import web

TEMPLATES = Path(web.__file__).parent / "templates"
STATIC = Path(web.__file__).parent / "static"
JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
OTHERS = re.compile(r"\{%-?\s*(?:extends|include|import|from)\s+\"([^\"]+)\"")
HEADS = re.compile(r"\{% macro head\(\) %\}.*?\{% endmacro %\}", re.DOTALL)
IMPORTS = re.compile(
    r"\{%-?\s*(?:import\s+\"([^\"]+)\"\s+as\s+(\w+)|from\s+\"([^\"]+)\"\s+import\s[^%]*\bhead\b)"
)
LINKS = re.compile(r"/static/([\w-]+\.css)")


def text_of(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def whole(name: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """This template and those of which it is made."""
    if name in seen:
        return seen
    seen |= {name}
    for other in OTHERS.findall(text_of(name)):
        seen = whole(other, seen)
    return seen


def linked(name: str) -> set[str]:
    """The sheets that a page of this template links; those of a macro ``head`` where it is called."""
    found: set[str] = set()
    for part in whole(name):
        text = text_of(part)
        found |= set(LINKS.findall(HEADS.sub("", text)))
        for file, called, other in IMPORTS.findall(text):
            if (f"{called}.head()" if called else "{{ head() }}") in text:
                found |= set(LINKS.findall(text_of(file or other)))
    return found


def named(name: str) -> set[str]:
    """The classes that stand in a template; not those that it works out."""
    plain = JINJA.sub("\0", text_of(name))
    return {one for text in re.findall(r'class="([^"]*)"', plain) for one in text.split() if "\0" not in one}


def ruled(sheet: str) -> set[str]:
    text = re.sub(r"/\*.*?\*/", "", (STATIC / sheet).read_text(encoding="utf-8"), flags=re.DOTALL)
    return set(re.findall(r"\.([a-zA-Z][\w-]*)", text))


def test_every_class_of_a_page_has_a_rule_in_a_sheet_that_the_page_links() -> None:
    rules = {file.name: ruled(file.name) for file in STATIC.glob("*.css")}
    pages = [file.relative_to(TEMPLATES).as_posix() for file in TEMPLATES.glob("**/*.html")]
    lacking: dict[str, set[str]] = {}
    checked = 0
    for page in pages:
        sheets = linked(page)
        if "hansa.css" not in sheets:
            continue  # a part, looked at in the pages of which it is one
        checked += 1
        has = set[str]().union(*(rules[one] for one in sheets))
        for part in whole(page):
            if without := named(part) - has:
                lacking.setdefault(part, set()).update(without)

    assert checked > 100
    assert not lacking, "no linked sheet has a rule for these classes; write one, or leave the class out"
