"""Agreements: read, checked, decided by two, and which of them holds. Tables an accountant could check."""

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest
from example_day import DAY, OVER, open_league
from psycopg.errors import RestrictViolation

from hansa import clearing, ledger, trust
from hansa.clearing import agreements as desk
from hansa.clearing import agreements_text
from hansa.clearing.agreements_text import BadAgreement, read_agreement
from hansa.clearing.netting import Agreement, Fee, Product
from hansa.kernel import FixedClock, HansaError, InvalidInput, fact_id
from hansa.store import Context

NOW = datetime(2026, 11, 17, 9, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs"

EXAMPLE = """
name = "Beijing and Hangzhou"
valid_from = 2026-12-01
issuer = "hangzhou"
operator = "beijing"
currency = "CNY"

[ride]
issuer = { bp = 100, fixed = "0.01", floor = "0.02", cap = "1.00" }
league = { bp = 20 }
interchange = { bp = 30, paid_by = "operator" }

[subsidy]
operator_bears_bp = 2000
pays_at_most = "2.00"

[chargeback]
within_days = 60
days = { raised = 5 }
undecided_bp = 5000
fee = "5.00"
"""


def text(
    valid_from: str = "2026-12-01",
    *,
    issuer: str = "hangzhou-card",
    operator: str = "beijing-subway",
    more: str = "",
    ride: str = "issuer = { bp = 50 }",
    name: str = "An agreement",
) -> str:
    return (
        f'name = "{name}"\nvalid_from = {valid_from}\nissuer = "{issuer}"\noperator = "{operator}"\n{more}\n'
        f"[ride]\n{ride}\n"
    )


def agreement_id(toml: str) -> UUID:
    return fact_id(None, "an agreement of the test", toml)


def agree(ctx: Context, toml: str, *, proposer: str = "league:ada", second: str = "league:bo") -> UUID:
    with ctx.tx() as tx:
        told = desk.propose_agreement(tx, agreement_id(toml), toml, by=proposer, at=NOW)
        assert told.state == "proposed"
        desk.approve_agreement(tx, told.agreement_id, by=second, at=NOW, why="as signed")
    return told.agreement_id


# -- the text -------------------------------------------------------------------------------------------------

# what is changed in the example | the field that is named | a word of the remedy or the fault
FAULTS = [
    (("valid_from = 2026-12-01\n", ""), "the text", "valid_from"),
    (('"hangzhou"', '"Hang Zhou"'), "issuer", "a city"),
    (("bp = 100", "bp = 10001"), "ride.issuer.bp", "10000"),
    (("bp = 100", "bp = 9960"), "ride", "more than the whole"),
    (('currency = "CNY"\n', ""), "ride.issuer.fixed", "currency"),
    (('currency = "CNY"', 'currency = "ABC"'), "currency", "ISO 4217"),
    (('currency = "CNY"', 'currency = "JPY"'), "ride.issuer.fixed", "at most 0"),
    (('fixed = "0.01"', "fixed = 0.01"), "ride.issuer.fixed", "as text"),
    (('fixed = "0.01"', 'fixed = "0.001"'), "ride.issuer.fixed", "decimals"),
    (('cap = "1.00"', 'cap = "0.01"'), "ride.issuer.cap", "floor"),
    (("[ride]", "valid_to = 2026-11-30\n[ride]"), "valid_to", "before"),
    (("[subsidy]", "[bonus]"), "the text", "bonus"),
    (("raised = 5", "asked = 5"), "chargeback.days", "asked"),
    (("2026-12-01", "1026-12-01"), "valid_from", "2000"),
    (("[ride]", "[ride"), "the text", "TOML"),
]


@pytest.mark.parametrize(("change", "where", "word"), FAULTS)
def test_a_faulty_text_is_told_by_its_field(change: tuple[str, str], where: str, word: str) -> None:
    with pytest.raises(BadAgreement) as told:
        read_agreement(EXAMPLE.replace(*change))

    problem = told.value.problems[0]
    assert where in problem.where and word in str(problem), problem


def test_an_agreement_for_all_has_no_last_day_and_says_something() -> None:
    with pytest.raises(BadAgreement, match="for all"):
        read_agreement(text(issuer="*", operator="*", more="valid_to = 2027-01-01"))
    with pytest.raises(BadAgreement, match="product"):
        read_agreement(text().partition("[ride]")[0])


def test_a_text_says_in_minor_units_what_is_kept() -> None:
    said = read_agreement(EXAMPLE)

    assert said.products == ("ride", "subsidy", "chargeback")
    assert said.split("ride") == (Fee(100, 1, 2, 100), Fee(20), Fee(30), 1)
    assert said.split("subsidy") == (Fee(2_000, all_above_minor=200), Fee(), Fee(), 0)
    assert said.split("chargeback") is None, "fees of fares go back"
    back = said.chargeback_terms()
    assert back is not None
    assert (back.within_days, back.days, back.undecided_bp, back.fee_minor) == (60, {"raised": 5}, 5_000, 500)
    assert (
        read_agreement(EXAMPLE.replace('"CNY"', '"BHD"')).fee(said.ride and said.ride.issuer).cap_minor
        == 1_000
    )


def test_the_examples_in_the_docs_are_these() -> None:
    blocks = {
        page: (DOCS / page).read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
        for page in ("agreements.md", "members.md")
    }
    applied = trust.read_application(blocks["members.md"].replace("64 hex digits", "ab" * 32))

    assert read_agreement(blocks["agreements.md"]) == read_agreement(EXAMPLE)
    assert applied.names == ("lyon", "lyon-card", "lyon-tcl")


def test_the_schema_is_the_one_in_the_docs() -> None:
    kept = json.loads((DOCS / "agreements.schema.json").read_text(encoding="utf-8"))

    assert kept == agreements_text.schema(), "run: hansa agreements schema docs"


# -- what holds -----------------------------------------------------------------------------------------------

LAID = [
    text(issuer="*", operator="*", name="all", ride="issuer = { bp = 110 }\nleague = { bp = 25 }"),
    text(issuer="*", operator="beijing", name="to beijing", ride="issuer = { bp = 90 }"),
    text(issuer="hangzhou", operator="*", name="of hangzhou", ride="issuer = { bp = 80 }"),
    text(issuer="hangzhou", operator="beijing", name="cities", ride="issuer = { bp = 70 }"),
    text(name="members", ride="issuer = { bp = 60 }"),
    text(
        "2026-12-10",
        name="members in yuan",
        more='currency = "CNY"\nvalid_to = 2026-12-12',
        ride='issuer = { bp = 40, fixed = "0.01" }',
    ),
    text(
        "2026-12-01",
        issuer="hong-kong",
        operator="beijing",
        name="both ways",
        more="both_ways = true",
        ride='issuer = { bp = 10 }\ninterchange = { bp = 5, paid_by = "issuer" }',
    ),
]

# issuer | operator | currency | day | which holds | the issuer's basis points
HOLDS = [
    ("hangzhou-card", "beijing-subway", "CNY", date(2026, 11, 30), "default", 120),
    ("hangzhou-card", "beijing-subway", "CNY", date(2026, 12, 1), "members", 60),
    ("hangzhou-card", "beijing-subway", "CNY", date(2026, 12, 10), "members in yuan", 40),
    ("hangzhou-card", "beijing-subway", "HKD", date(2026, 12, 10), "members", 60),
    ("hangzhou-card", "beijing-subway", "CNY", date(2026, 12, 13), "members", 60),
    ("hangzhou-card", "hangzhou-metro", "CNY", date(2026, 12, 1), "of hangzhou", 80),
    ("hangzhou", "beijing-subway", "CNY", date(2026, 12, 1), "cities", 70),
    ("beijing-card", "beijing-subway", "CNY", date(2026, 12, 1), "to beijing", 90),
    ("beijing-card", "hangzhou-metro", "CNY", date(2026, 12, 1), "all", 110),
    ("hong-kong-card", "beijing-subway", "CNY", date(2026, 12, 1), "both ways", 10),
    ("beijing-card", "hong-kong-mtr", "HKD", date(2026, 12, 1), "both ways", 10),
]


def test_the_most_exact_agreement_of_the_day_holds(ctx: Context) -> None:
    open_league(ctx)
    ids = {read_agreement(toml).name: str(agree(ctx, toml)) for toml in LAID} | {"default": "default"}

    with ctx.tx() as tx:
        told = [
            (
                clearing.terms_of(tx, issuer, operator, "ride", day, currency=unit),
                ids[name],
                bp,
            )
            for issuer, operator, unit, day, name, bp in HOLDS
        ]
        across = desk.terms_on(tx, date(2026, 12, 1)).terms("hong-kong-card", "beijing-subway", "ride")
        at_home = desk.terms_on(tx, date(2026, 12, 1)).terms("hong-kong-card", "hong-kong-mtr", "ride")

    assert [(terms.agreement_id, terms.issuer.bp) for terms, _, _ in told] == [
        (name, bp) for _, name, bp in told
    ]
    assert (across.interchange, across.interchange_sign) == (Fee(5), -1)
    assert at_home.interchange_sign == 0


def test_products_that_were_not_agreed_on_are_as_for_all(ctx: Context) -> None:
    open_league(ctx)
    agree(ctx, EXAMPLE)
    on = date(2026, 12, 1)

    with ctx.tx() as tx:
        book = desk.terms_on(tx, on)
        kinds: tuple[Product, ...] = ("ride", "payment", "subsidy", "chargeback")
        agreed = [book.terms("hangzhou-card", "beijing-subway", kind, "CNY") for kind in kinds]
        other = [book.terms("beijing-card", "hangzhou-metro", kind, "CNY") for kind in kinds]

    assert [terms.issuer for terms in agreed] == [
        Fee(100, 1, 2, 100),
        Fee(),  # payments between members are free unless it was agreed otherwise
        Fee(2_000, all_above_minor=200),
        Fee(100, cap_minor=100),  # a chargeback gives back what basis points of the fare came to
    ]
    assert agreed[3].chargeback.fee_minor == 500 and agreed[3].interchange_sign == 1
    assert [terms.issuer for terms in other] == [Fee(120), Fee(), Fee(), Fee(120)]
    assert {terms.agreement_id for terms in other} == {"default"}


def test_agreements_of_the_simple_form_hold_beside_texts_and_the_later_one_counts(ctx: Context) -> None:
    open_league(ctx)
    simple = [
        Agreement("hangzhou-card", "beijing-subway", 90, 10, DAY),
        Agreement("hangzhou-card", "beijing-subway", 80, 10, date(2026, 12, 20)),
    ]
    with ctx.tx() as tx:
        clearing.add_agreements(tx, simple)
    agree(ctx, text("2026-12-01"))

    with ctx.tx() as tx:
        bps = [
            clearing.terms_of(tx, "hangzhou-card", "beijing-subway", "ride", day).issuer.bp
            for day in (DAY, date(2026, 12, 1), date(2026, 12, 20))
        ]
        spans = desk.spans(tx)["hangzhou-card", "beijing-subway", "", "ride"]

    assert bps == [90, 50, 80]
    assert [(one.name, one.since, one.until) for one in spans] == [
        ("In basis points", DAY, date(2026, 11, 30)),
        ("An agreement", date(2026, 12, 1), date(2026, 12, 19)),
        ("In basis points", date(2026, 12, 20), None),
    ]


# what a fare, a subsidy and a chargeback pay by the example: item | operator | issuer | league
PAYS: list[tuple[Product, int, tuple[int, int, int]]] = [
    # 3.00: 1 % is 3.00 of a cent and more than the floor, 0.01 fixed, interchange 0.9, league 0.6 of a cent
    ("ride", 300, (294, 5, 1)),
    ("ride", 100, (97, 3, 0)),  # 1 % is under the floor of 2 cents; fixed 1, interchange 0.3, league 0.2
    ("ride", 100_000, (99_399, 401, 200)),  # 1 % is over the cap of 1.00; fixed 0.01, interchange 3.00
    ("ride", -300, (-296, -3, -1)),  # the correction gives back shares, and bears its cent
    ("subsidy", 200, (160, 40, 0)),  # the operator bears a fifth
    ("subsidy", 300, (200, 100, 0)),  # more than 2.00 is never paid
    ("chargeback", -300, (-795, -4, 499)),
]


def test_what_items_pay_to_whom_by_the_example() -> None:
    book = desk.TermsBook(DAY, {"h-card": "hangzhou", "b-subway": "beijing"})
    book.add("example", read_agreement(EXAMPLE))

    told = [
        (product, minor, desk.worked_shares(book.terms("h-card", "b-subway", product, "CNY"), minor))
        for product, minor, _ in PAYS
    ]

    assert [
        (product, minor, (shares.operator_share, shares.issuer_fee, shares.league_fee))
        for product, minor, shares in told
    ] == PAYS


# -- two persons ----------------------------------------------------------------------------------------------


def rows(ctx: Context) -> int:
    with ctx.tx() as tx:
        row = tx.execute(
            "select (select count(*) from clearing.agreement_texts) + (select count(*) from clearing.agreement_facts)"
        ).fetchone()
    assert row is not None
    return row[0]


def test_one_proposes_another_approves_and_it_holds_from_its_day(ctx: Context) -> None:
    open_league(ctx)
    toml = text()
    with ctx.tx() as tx:
        told = desk.propose_agreement(tx, agreement_id(toml), toml, by="league:ada", at=NOW, note="new")
        again = desk.propose_agreement(tx, agreement_id(toml), toml, by="league:ada", at=NOW, note="new")
        assert told == again and told.state == "proposed"
        assert (
            clearing.terms_of(tx, "hangzhou-card", "beijing-subway", "ride", date(2026, 12, 1)).issuer.bp
            == 120
        )
        before = rows(ctx)

        refusals = [
            (
                desk.SamePerson,
                lambda: desk.approve_agreement(tx, told.agreement_id, by="league:ada", at=NOW, why="y"),
            ),
            (
                desk.SamePerson,
                lambda: desk.approve_agreement(tx, told.agreement_id, by="league", at=NOW, why="y"),
            ),
            (
                InvalidInput,
                lambda: desk.approve_agreement(tx, told.agreement_id, by="league:bo", at=NOW, why=" "),
            ),
            (
                desk.SamePerson,
                lambda: desk.refuse_agreement(tx, told.agreement_id, by="league:ada", at=NOW, why="y"),
            ),
            (
                desk.UnknownAgreement,
                lambda: desk.approve_agreement(tx, fact_id(None, "x"), by="b", at=NOW, why="y"),
            ),
            (
                desk.AgreementConflict,
                lambda: desk.propose_agreement(tx, told.agreement_id, EXAMPLE, by="a", at=NOW),
            ),
            (
                desk.AgreementDecided,
                lambda: desk.propose_end(tx, told.agreement_id, date(2027, 1, 1), by="b", at=NOW, why="y"),
            ),
        ]
        for error, do in refusals:
            with pytest.raises(error):
                do()
        assert rows(ctx) == before

        done = desk.approve_agreement(tx, told.agreement_id, by="league:bo", at=NOW, why="as signed")
        assert done == desk.approve_agreement(tx, told.agreement_id, by="league:bo", at=NOW, why="as signed")
        assert done.state == "scheduled"
        assert [(one.step, one.by_whom, one.why) for one in done.facts] == [
            ("proposed", "league:ada", "new"),
            ("approved", "league:bo", "as signed"),
        ]
        begun = desk.get_agreement(tx, told.agreement_id, datetime(2026, 12, 1, 9, tzinfo=UTC))
        assert begun.state == "in_force"
        assert (
            clearing.terms_of(tx, "hangzhou-card", "beijing-subway", "ride", date(2026, 12, 1)).issuer.bp
            == 50
        )


def test_what_was_taken_back_or_refused_does_not_hold(ctx: Context) -> None:
    open_league(ctx)
    scheduled = agree(ctx, text())
    others = [text("2027-01-01", name=name) for name in ("taken back", "refused")]
    with ctx.tx() as tx:
        for toml in others:
            desk.propose_agreement(tx, agreement_id(toml), toml, by="league:ada", at=NOW)
        states = [
            desk.withdraw_agreement(tx, scheduled, by="league:ada", at=NOW, why="not signed").state,
            desk.withdraw_agreement(
                tx, agreement_id(others[0]), by="league:ada", at=NOW, why="a mistake"
            ).state,
            desk.refuse_agreement(tx, agreement_id(others[1]), by="league:bo", at=NOW, why="too dear").state,
        ]
        for one in (scheduled, *(agreement_id(toml) for toml in others)):
            with pytest.raises(desk.AgreementDecided):
                desk.approve_agreement(tx, one, by="league:cy", at=NOW, why="y")
        terms = clearing.terms_of(tx, "hangzhou-card", "beijing-subway", "ride", date(2027, 1, 1))

    assert states == ["withdrawn", "withdrawn", "refused"]
    assert terms.agreement_id == "default"


# in force already | the new one | what is wrong with it, or ""
BESIDE = [
    (text(), text(name="the same day"), "begins on 2026-12-01 too"),
    (text(), text("2027-01-01", name="follows"), ""),
    (
        text(more="valid_to = 2026-12-31"),
        text("2026-12-31", name="a day too early"),
        "agreed until 2026-12-31",
    ),
    (text(more="valid_to = 2026-12-31"), text("2027-01-01", name="right after"), ""),
    (text(more="valid_to = 2026-12-31"), text("2027-01-03", name="a gap"), "2 days after 2026-12-31"),
    (text(more="valid_to = 2026-12-31"), text("2027-01-03", name="meant", more="after_gap = true"), ""),
    (text("2027-01-01"), text(more="valid_to = 2027-01-01", name="into the next"), "begins on 2027-01-01"),
    (text("2027-01-01"), text(more="valid_to = 2026-12-31", name="before the next"), ""),
    (text(), text(more='currency = "CNY"', name="more exact"), ""),
    (text(), text(issuer="hangzhou", name="less exact"), ""),
    (
        text(issuer="beijing-subway", operator="hangzhou-card", more="both_ways = true"),
        text(name="met from the other side"),
        "begins on 2026-12-01 too",
    ),
    (text(), text(operator="atlantis", name="nobody"), "no member 'atlantis'"),
]


@pytest.mark.parametrize(("there", "new", "wrong"), BESIDE)
def test_overlaps_and_gaps_between_equally_exact_agreements_are_refused(
    ctx: Context, there: str, new: str, wrong: str
) -> None:
    open_league(ctx)
    agree(ctx, there)
    before = rows(ctx)

    if wrong:
        with pytest.raises(InvalidInput, match=wrong), ctx.tx() as tx:
            desk.propose_agreement(tx, agreement_id(new), new, by="league:ada", at=NOW)
        assert rows(ctx) == before
    else:
        agree(ctx, new)


def test_of_two_proposals_for_one_day_only_the_first_can_be_approved(ctx: Context) -> None:
    open_league(ctx)
    rival = text(name="rival", ride="issuer = { bp = 51 }")
    with ctx.tx() as tx:
        for toml in (text(), rival):
            desk.propose_agreement(tx, agreement_id(toml), toml, by="league:ada", at=NOW)
        desk.approve_agreement(tx, agreement_id(text()), by="league:bo", at=NOW, why="first")
    before = rows(ctx)

    with pytest.raises(InvalidInput, match="too"), ctx.tx() as tx:
        desk.approve_agreement(tx, agreement_id(rival), by="league:bo", at=NOW, why="second")

    assert rows(ctx) == before


def test_no_agreement_begins_or_ends_in_a_day_that_is_closed(ctx: Context) -> None:
    open_league(ctx)
    today = text(DAY.isoformat())
    early = text("2026-11-10", operator="hangzhou-metro", name="in force")
    with ctx.tx() as tx:
        told = desk.propose_agreement(tx, agreement_id(today), today, by="league:ada", at=NOW)
    in_force = agree(ctx, early)
    late = replace(ctx, clock=FixedClock(OVER))

    clearing.close_day(late, DAY)

    before = rows(ctx)
    with pytest.raises(InvalidInput, match="decided"), ctx.tx() as tx:
        desk.approve_agreement(tx, told.agreement_id, by="league:bo", at=OVER, why="too late")
    with pytest.raises(InvalidInput, match="cleared"), ctx.tx() as tx:
        desk.propose_end(tx, in_force, date(2026, 11, 16), by="league:ada", at=OVER, why="too late")
    with pytest.raises(desk.AgreementDecided), ctx.tx() as tx:
        desk.withdraw_agreement(tx, in_force, by="league:ada", at=OVER, why="too late")
    assert rows(ctx) == before


def test_two_persons_end_an_agreement_and_the_less_exact_one_holds_again(ctx: Context) -> None:
    open_league(ctx)
    one = agree(ctx, text())
    last = date(2026, 12, 24)
    with ctx.tx() as tx:
        asked = desk.propose_end(tx, one, last, by="league:ada", at=NOW, why="cancelled")
        assert asked == desk.propose_end(tx, one, last, by="league:ada", at=NOW, why="cancelled")
        with pytest.raises(desk.SamePerson):
            desk.decide_end(tx, one, yes=True, by="league:ada", at=NOW, why="y")
        with pytest.raises(desk.AgreementDecided):
            desk.propose_end(tx, one, date(2026, 12, 25), by="league:bo", at=NOW, why="another day")
        assert (
            clearing.terms_of(tx, "hangzhou-card", "beijing-subway", "ride", date(2027, 1, 1)).issuer.bp == 50
        )

        done = desk.decide_end(tx, one, yes=True, by="league:bo", at=NOW, why="seen the letter")

        bps = [
            clearing.terms_of(tx, "hangzhou-card", "beijing-subway", "ride", day).issuer.bp
            for day in (last, date(2026, 12, 25))
        ]
    assert done.ends_on == last and bps == [50, 120]


def test_the_database_rewrites_no_agreement(ctx: Context) -> None:
    open_league(ctx)
    agree(ctx, text())

    for statement in (
        "update clearing.agreement_texts set valid_from = valid_from - 1",
        "delete from clearing.agreement_facts",
    ):
        with pytest.raises(RestrictViolation, match="never rewritten"), ctx.tx() as tx:
            tx.execute(statement)


def test_two_clerks_at_once_decide_once(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_league(ctx)
    toml = text()
    with ctx.tx() as tx:
        one = desk.propose_agreement(tx, agreement_id(toml), toml, by="league:ada", at=NOW).agreement_id
    told: list[str] = []

    def decide(by: str, approve: bool) -> None:
        try:
            with ctx.tx() as tx:
                do = desk.approve_agreement if approve else desk.refuse_agreement
                told.append(do(tx, one, by=by, at=NOW, why="now").state)
        except HansaError as error:
            told.append(error.code)

    clerks = [threading.Thread(target=decide, args=(f"league:clerk{n}", n % 2 == 0)) for n in range(6)]
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()

    with ctx.tx() as tx:
        facts = desk.get_agreement(tx, one, NOW).facts
    assert sum(fact.step in ("approved", "refused") for fact in facts) == 1
    assert told.count("clearing.agreement_decided") == 3, "those who meant the other thing are told"


def test_the_fees_of_a_window_stand_by_product_and_agreement_and_add_up_to_its_positions(
    ctx: Context,
) -> None:
    open_league(ctx)
    by_city = agree(ctx, EXAMPLE.replace("2026-12-01", DAY.isoformat()))
    items = [
        (ledger.TransferCode.FARE, 300),
        (ledger.TransferCode.FARE, 100),
        (ledger.TransferCode.FARE, 100_000),
        (ledger.TransferCode.FARE_CORRECTION, -300),
        (ledger.TransferCode.SUBSIDY, 300),
        (ledger.TransferCode.CHARGEBACK, -300),
    ]
    for issuer in ("hangzhou-card", "beijing-card"):
        book(ctx, issuer, items)
    late = replace(ctx, clock=FixedClock(OVER))

    window = clearing.close_day(late, DAY)

    with ctx.tx() as tx:
        fees = desk.window_fees(tx, window.window_id)
        positions = clearing.window_positions(tx, window.window_id)
    # By the example: 4 fares of 1,001.00 bear 3 + 1 + 2 + 1 + 100 + 1 - 3 + 1 cents, interchange 300.3, league 200.2;
    # the subsidy beyond 2.00 is the operator's; the chargeback gives back 3, 0.9 and 0.6 and costs the operator 5.00.
    # As for all: 1.2 % and 0.3 % of 1,001.00 and of the chargeback, nothing of the subsidy.
    assert [
        (
            one.issuer_id,
            one.product,
            one.items,
            one.operator_share,
            one.issuer_fee,
            one.league_fee,
            one.interchange,
        )
        for one in fees
    ] == [
        ("beijing-card", "chargeback", 1, -296, -3, -1, 0),
        ("beijing-card", "ride", 4, 98_599, 1_201, 300, 0),
        ("beijing-card", "subsidy", 1, 300, 0, 0, 0),
        ("hangzhou-card", "chargeback", 1, -796, -4, 500, -1),
        ("hangzhou-card", "ride", 4, 99_494, 406, 200, 300),
        ("hangzhou-card", "subsidy", 1, 200, 100, 0, 0),
    ]
    assert {one.agreement_id for one in fees} == {str(by_city), "default"}
    for position in positions:
        mine = [one for one in fees if one.issuer_id == position.issuer_id]
        assert sum(one.gross for one in mine) == position.gross
        assert sum(one.issuer_fee for one in mine) == position.issuer_fee
        assert sum(one.league_fee for one in mine) == position.league_fee
        assert sum(one.operator_share for one in mine) == position.operator_share


def book(ctx: Context, issuer: str, items: list[tuple[ledger.TransferCode, int]]) -> None:
    """Book items on the position of an issuer and the subway, against the issuer's exchange account."""
    position = clearing.position_account(issuer, "beijing-subway", "CNY")
    other = ledger.AccountId(fact_id(None, "the other side", issuer))
    ledger.open_accounts(
        ctx,
        [ledger.Account(other, "CNY", ledger.AccountCode.EXCHANGE, issuer, path=f"exchange:{issuer}")],
    )
    results = ledger.post(
        ctx,
        [
            ledger.Transfer(
                transfer_id=ledger.TransferId(fact_id(NOW, "an item", issuer, n)),
                debit=other if minor > 0 else position,
                credit=position if minor > 0 else other,
                amount=abs(minor),
                currency="CNY",
                code=code,
                partition=0,
                event_at=NOW,
            )
            for n, (code, minor) in enumerate(items)
        ],
    )
    assert all(result.ok for result in results), results


def test_a_suspended_member_agrees_on_nothing_and_opens_no_positions(ctx: Context) -> None:
    open_league(ctx)
    pair = ("hangzhou-card", "beijing-subway", "JPY")
    with ctx.tx() as tx:
        trust.suspend(tx, "hangzhou", by="league:ada", at=ctx.clock.now(), why="does not pay")
        before = len(desk.kept.positions_of(tx, ["hangzhou-card"]))

    with pytest.raises(trust.MemberMayNot, match="hangzhou-card is suspended, as hangzhou is"):
        clearing.open_positions(ctx, [pair])
    with pytest.raises(trust.MemberMayNot), ctx.tx() as tx:
        desk.propose_agreement(tx, agreement_id("x"), text(), by="league:ada", at=ctx.clock.now())

    clearing.open_positions(
        ctx, [("hangzhou-card", "beijing-subway", "CNY")]
    )  # there is one; again is harmless
    with ctx.tx() as tx:
        assert len(desk.kept.positions_of(tx, ["hangzhou-card"])) == before
    clearing.open_positions(ctx, [pair], for_the_past=True)
    with ctx.tx() as tx:
        assert len(desk.kept.positions_of(tx, ["hangzhou-card"])) > before
