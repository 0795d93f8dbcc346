"""Errors as a developer meets them: problem details, a page for each code, and what a person is shown."""

import tomllib
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from hansa import trust
from hansa.apps.web import error_book, languages, remedies
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]


@pytest.fixture(scope="module")
def pages() -> dict[str, error_book.ErrorPage]:
    error_book.import_all()
    error_book.error_pages.cache_clear()
    return error_book.error_pages()


def test_each_error_has_a_code_of_its_own_and_says_what_to_do(
    pages: dict[str, error_book.ErrorPage],
) -> None:
    errors = error_book.every_error()
    codes = [error.code for error in errors]

    assert len(errors) > 200
    assert sorted({code for code in codes if codes.count(code) > 1}) == []
    lacking = [
        f"{error.code}: give {error.__module__}.{error.__qualname__} a `remedy`, or its docstring a second sentence"
        for error in errors
        if not remedies.remedy_of(error)
    ]
    assert lacking == []
    unknown = [
        f"{one.code}: {one.next_action} stands in no list"
        for one in pages.values()
        if not one.next_action_says
    ]
    assert unknown == []


def test_the_file_of_remedies_speaks_of_errors_that_there_are(
    pages: dict[str, error_book.ErrorPage],
) -> None:
    for module in ("hansa.gate.agent.command", "hansa.gate.conformance.runner"):
        __import__(module)
    known = {error.code for error in error_book.every_error()}

    assert sorted(set(remedies.remedies()) - known) == []


@pytest.mark.parametrize("language", ["zh", "fr"])
def test_what_a_person_is_shown_is_said_in_their_language(
    pages: dict[str, error_book.ErrorPage], language: str
) -> None:
    said = {one.user_message for one in pages.values()} | remedies.user_messages()

    assert sorted(said - set(languages.catalogue(language))) == []


def test_a_refusal_says_all_that_rfc_9457_and_a_program_want(client: Client, league: LittleLeague) -> None:
    request_id = str(uuid4())
    refused = client.get(
        "/v1/rates/1999-01-01", headers={"accept-language": "fr-CA, en;q=0.5", "request-id": request_id}
    )

    told = refused.json()
    assert (refused.status_code, told["code"], told["param"]) == (422, "hansa.invalid_input", "day")
    assert told["type"] == "http://127.0.0.1/errors/hansa.invalid_input"
    assert told["instance"] == f"urn:uuid:{request_id}" and refused.headers["request-id"] == request_id
    (violation,) = told["violations"]
    assert set(violation) == {"param", "detail", "remedy"} and all(violation.values())
    assert told["next_action"] in remedies.NEXT_ACTIONS
    assert refused.headers["content-language"] == "fr"
    english = "Something that was entered does not fit. Please check it and try again."
    assert told["user_message"] == languages.catalogue("fr")[english]
    assert client.get(told["type"]).status_code == 200


def test_kinds_of_faults_are_named(client: Client, league: LittleLeague) -> None:
    body = {"top_up_id": "x", "amount": {"minor": 0, "currency": "EUR"}, "at": "2026-11-17T12:00:00Z"}

    told = client.post("/v1/top-ups", json=body).json()

    assert told["code"] == "web.does_not_fit" and told["violations"][0]["code"] in (
        "value",
        "missing",
        "range",
    )


def test_every_answer_has_an_id_and_one_that_does_not_fit_is_replaced(client: Client) -> None:
    own = client.get("/v1/members", headers={"request-id": "no uuid; drop table"}).headers["request-id"]
    other = client.get("/static/hansa.css").headers["request-id"]

    assert len(own) == len(other) == 36 and own != other


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_each_code_has_a_page_and_they_have_an_index(
    client: Client, league: LittleLeague, accept: str
) -> None:
    headers = {"accept": accept}

    index = client.get("/errors", headers=headers)
    page = client.get("/errors/payments.top_up_differs", headers=headers)
    none = client.get("/errors/nobody.knows", headers=headers)

    assert index.status_code == page.status_code == 200 and none.status_code == 404
    assert index.headers["content-type"].startswith(accept) and "trust.not_allowed" in index.text
    for words in ("payments.top_up_differs", "409", "make a new id", "/v1/top-ups", "use_new_id"):
        assert words in page.text, words


def test_a_problem_of_a_page_leads_to_its_code(client: Client, league: LittleLeague) -> None:
    page = client.get("/console/files/nothing", headers={"accept": "text/html"})

    assert page.status_code == 404 and "/errors/" in page.text


def test_names_of_fields_in_sentences_are_left_as_they_are(ctx: Context) -> None:
    error = trust.NotAllowed("This needs the scope taps:write.")

    assert remedies.next_action_of(type(error)) == "ask_permission"
    assert "scope" in remedies.remedy_of(type(error))


def test_the_file_of_remedies_can_be_read_by_anyone() -> None:
    rows = tomllib.loads(Path(remedies.FILE).read_text(encoding="utf-8"))["remedy"]

    assert all(set(row) <= {"codes", "says", "next", "user"} and row["codes"] for row in rows)
    assert all(row["next"] in remedies.NEXT_ACTIONS for row in rows if "next" in row)
