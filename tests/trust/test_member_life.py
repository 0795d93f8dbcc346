"""A member's life: let in, its bank account changed, suspended, resumed, left; by whom, and what is refused."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from psycopg.errors import RestrictViolation

from hansa import trust
from hansa.kernel import HansaError, InvalidInput, fact_id
from hansa.store import Context, Tx
from hansa.trust.members_model import MAY, MemberFact, life_at, worse

NOW = datetime(2026, 11, 17, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ADA, BO = "league:ada", "league:bo"
KEY = "ab" * 32

LYON = f"""
member = "lyon"
name = "Lyon"
role = "city"
tz = "Europe/Paris"
currencies = ["EUR", "CHF"]

[contact]
name = "Claire Petit"
email = "claire@lyon.example"
phone = "+33 4 00 00 00 00"

[[accounts]]
bic = "BNPAFRPPXXX"
iban = "FR14 2004 1010 0505 0001 3M02 606"

[[accounts]]
currency = "CHF"
bic = "UBSWCHZH80A"
iban = "CH93 0076 2011 6238 5295 7"

[[parts]]
member = "lyon-card"
name = "Lyon Card"
role = "issuer"
key = "{KEY}"

[[parts]]
member = "lyon-tcl"
name = "TCL"
role = "operator"
"""

# what is changed in the application | the field that is named | a word of the fault or the remedy
FAULTS = [
    (('role = "city"', 'role = "league"'), "role", "league"),
    (('"Europe/Paris"', '"Paris"'), "tz", "IANA"),
    (('"EUR", "CHF"', '"EUR", "ABC"'), "currencies[1]", "ISO 4217"),
    (("FR14", "FR15"), "accounts[0].iban", "check digits"),
    (("BNPAFRPPXXX", "BNPAFRPPXX"), "accounts[0].bic", "8 or 11"),
    (('iban = "CH93', 'number = "1"\niban = "CH93'), "accounts[1]", "one number"),
    (('currency = "CHF"\n', ""), "accounts[1].currency", "two accounts"),
    (('currency = "CHF"\n', 'currency = "USD"\n'), "accounts[1].currency", "not in currencies"),
    (("claire@lyon.example", "claire"), "contact.email", "address"),
    (('"lyon-tcl"', '"lyon-card"'), "parts", "twice"),
    (('"lyon-tcl"', '"Lyon TCL"'), "parts[1].member", "hyphens"),
    ((f'key = "{KEY}"', 'key = "12"'), "parts[0].key", "64 hex digits"),
    (("[contact]", "[kontakt]"), "the text", "kontakt"),
]


@pytest.mark.parametrize(("change", "where", "word"), FAULTS)
def test_a_faulty_application_is_told_by_its_field(change: tuple[str, str], where: str, word: str) -> None:
    with pytest.raises(trust.BadApplication) as told:
        trust.read_application(LYON.replace(*change))

    problem = told.value.problems[0]
    assert where in problem.where and word in str(problem), problem


def id_of(what: str) -> UUID:
    return fact_id(None, "member life", what)


def count(tx: Tx) -> int:
    row = tx.execute(
        """
        select (select count(*) from trust.members) + (select count(*) from trust.applications)
            + (select count(*) from trust.application_facts) + (select count(*) from trust.member_facts)
            + (select count(*) from trust.account_changes) + (select count(*) from trust.account_facts)
            + (select count(*) from trust.issuer_keys) + (select count(*) from trust.key_changes)
        """
    ).fetchone()
    assert row is not None
    return row[0]


def refused(tx: Tx, *cases: tuple[type[HansaError], Callable[[], object]]) -> None:
    """Each of these is refused, and nothing has changed after it."""
    before = count(tx)
    for error, do in cases:
        with pytest.raises(error):
            do()
        assert count(tx) == before


def let_in(tx: Tx) -> None:
    trust.hand_in_application(tx, id_of("lyon"), LYON, by=ADA, at=NOW)
    trust.approve_application(tx, id_of("lyon"), by=BO, at=NOW, why="met in Lyon")


def test_one_hands_an_application_in_and_another_lets_the_member_in(ctx: Context) -> None:
    with ctx.tx() as tx:
        one = id_of("lyon")
        told = trust.hand_in_application(tx, one, LYON, by=ADA, at=NOW, note="from the fair")
        assert told == trust.hand_in_application(tx, one, LYON, by=ADA, at=NOW, note="from the fair")
        refused(
            tx,
            (trust.SamePerson, lambda: trust.approve_application(tx, one, by=ADA, at=NOW, why="y")),
            (trust.SamePerson, lambda: trust.refuse_application(tx, one, by=ADA, at=NOW, why="y")),
            (InvalidInput, lambda: trust.approve_application(tx, one, by=BO, at=NOW, why="")),
            (trust.MemberConflict, lambda: trust.hand_in_application(tx, one, LYON, by=BO, at=NOW)),
            (
                trust.UnknownApplication,
                lambda: trust.approve_application(tx, id_of("x"), by=BO, at=NOW, why="y"),
            ),
            (trust.UnknownMember, lambda: trust.member_life(tx, "lyon", NOW)),
        )

        done = trust.approve_application(tx, one, by=BO, at=NOW, why="met in Lyon")
        again = trust.approve_application(tx, one, by=BO, at=NOW, why="met in Lyon")

        assert done == again and done.state == "approved"
        members = [trust.get_member(tx, name) for name in ("lyon", "lyon-card", "lyon-tcl")]
        assert [(one.role, one.clears_as, one.city_id) for one in members] == [
            ("city", "lyon", "lyon"),
            ("issuer", "lyon", "lyon"),
            ("operator", "lyon", "lyon"),
        ]
        assert [trust.member_account(tx, "lyon", unit) for unit in ("EUR", "CHF")] == [
            "BNPAFRPPXXX/FR1420041010050500013M02606",
            "UBSWCHZH80A/CH9300762011623852957",
        ]
        assert trust.member_life(tx, "lyon-card", NOW).standing == "active"
        profile = trust.find_profile(tx, "lyon-tcl")
        assert profile is not None and profile.currencies == ("EUR", "CHF") and profile.tz == "Europe/Paris"
        refused(
            tx,
            (InvalidInput, lambda: trust.hand_in_application(tx, id_of("again"), LYON, by=ADA, at=NOW)),
            (trust.MemberDecided, lambda: trust.withdraw_application(tx, one, by=ADA, at=NOW, why="y")),
        )


def test_of_two_applications_for_one_name_the_second_is_refused_whole(ctx: Context) -> None:
    with ctx.tx() as tx:
        other = (
            LYON.replace('"lyon"', '"rhone"').replace('"lyon-card"', '"rhone-card"').replace(KEY, "cd" * 32)
        )
        trust.hand_in_application(tx, id_of("lyon"), LYON, by=ADA, at=NOW)
        trust.hand_in_application(tx, id_of("rhone"), other, by=ADA, at=NOW)  # its operator is lyon-tcl, too
        trust.approve_application(tx, id_of("lyon"), by=BO, at=NOW, why="first")
        refused(
            tx,
            (
                InvalidInput,
                lambda: trust.approve_application(tx, id_of("rhone"), by=BO, at=NOW, why="second"),
            ),
            (trust.UnknownMember, lambda: trust.get_member(tx, "rhone")),
        )


def test_an_account_is_changed_by_two_and_holds_after_its_cooling_time(ctx: Context) -> None:
    new = trust.AccountText(bic="CRLYFRPPXXX", iban="FR7630006000011234567890189")
    old = "BNPAFRPPXXX/FR1420041010050500013M02606"
    with ctx.tx() as tx:
        let_in(tx)
        one = id_of("account")

        def propose(change_id: UUID, account: trust.AccountText, by: str = ADA) -> trust.AccountChange:
            return trust.propose_account(tx, change_id, "lyon", account, by=by, at=NOW, why="a new bank")

        refused(
            tx,
            (
                InvalidInput,
                lambda: propose(
                    one, trust.AccountText(bic="CRLYFRPPXXX", iban="FR7630006000011234567890188")
                ),
            ),
            (InvalidInput, lambda: propose(one, trust.account_of(*old.split("/")))),
        )
        assert propose(one, new) == propose(one, new)
        refused(
            tx,
            (
                trust.MemberDecided,
                lambda: propose(id_of("rival"), trust.AccountText(bic="CRLYFRPPXXX", number="1")),
            ),
            (trust.SamePerson, lambda: trust.decide_account(tx, one, yes=True, by=ADA, at=NOW, why="y")),
        )
        told = trust.decide_account(tx, one, yes=True, by=BO, at=NOW, why="called them back")
        assert told.state == "approved" and told.from_at == NOW + trust.COOLING

        assert trust.turn_members(tx, NOW + trust.COOLING - HOUR) == []
        assert trust.member_account(tx, "lyon", "EUR") == old
        assert [change.state for change in trust.turn_members(tx, NOW + trust.COOLING)] == ["in_force"]
        assert trust.turn_members(tx, NOW + 2 * trust.COOLING) == []

        assert trust.member_account(tx, "lyon", "EUR") == new.written
        assert trust.member_account(tx, "lyon", "CHF").startswith("UBSWCHZH80A"), "its own stays"
        refused(
            tx, (trust.MemberDecided, lambda: trust.stop_account(tx, one, by=ADA, at=NOW + 3 * DAY, why="y"))
        )


def test_a_change_of_account_can_be_stopped_while_it_cools(ctx: Context) -> None:
    with ctx.tx() as tx:
        let_in(tx)
        one, before = id_of("account"), trust.member_account(tx, "lyon")
        trust.propose_account(
            tx, one, "lyon", trust.AccountText(bic="CRLYFRPPXXX", number="42"), by=ADA, at=NOW, why="new"
        )
        trust.decide_account(tx, one, yes=True, by=BO, at=NOW, why="y")

        told = trust.stop_account(tx, one, by=ADA, at=NOW + HOUR, why="they never asked for it")

        assert told.state == "stopped" and trust.turn_members(tx, NOW + 5 * DAY) == []
        assert trust.member_account(tx, "lyon") == before


# standing | ride | transfer | sign | open | agree | dispute | settle
ALLOWED = [
    ("active", "ride transfer sign open agree dispute settle"),
    ("leaving", "ride transfer sign dispute settle"),
    ("suspended", "dispute settle"),
    ("left", "settle"),
]


@pytest.mark.parametrize(("standing", "doings"), ALLOWED)
def test_what_a_member_may_in_each_standing(standing: trust.Standing, doings: str) -> None:
    assert MAY[standing] == set(doings.split())


def test_a_suspended_city_takes_its_issuer_and_operator_along_and_two_let_it_go_on(ctx: Context) -> None:
    with ctx.tx() as tx:
        let_in(tx)
        later = NOW + HOUR
        told = trust.suspend(tx, "lyon", by=ADA, at=later, why="did not pay")
        assert told == trust.suspend(tx, "lyon", by=ADA, at=later, why="did not pay")

        lives = trust.member_lives(tx, later)
        assert [lives[name].standing for name in ("lyon", "lyon-card", "lyon-tcl")] == ["suspended"] * 3
        assert trust.member_standing(tx, "lyon-tcl", NOW) == "active", "it was, before"
        assert trust.shut_out(tx, "ride", later) == dict.fromkeys(("lyon", "lyon-card", "lyon-tcl"), later)
        (key,) = trust.current_trust_list(tx, at=NOW + 2 * HOUR).keys
        assert key.status == "retired"
        with pytest.raises(trust.MemberMayNot, match=r"lyon-tcl is suspended, as lyon is.*did not pay"):
            trust.check_may(tx, "lyon-tcl", "open", later)
        trust.check_may(tx, "lyon-tcl", "settle", later)
        refused(
            tx,
            (trust.MemberDecided, lambda: trust.propose_resume(tx, "lyon-tcl", by=ADA, at=later, why="y")),
            (
                trust.MemberDecided,
                lambda: trust.decide_resume(tx, "lyon", yes=True, by=BO, at=later, why="y"),
            ),
            (InvalidInput, lambda: trust.suspend(tx, "lyon", by=ADA, at=later, why="y", from_at=NOW)),
        )

        trust.propose_resume(tx, "lyon", by=ADA, at=later + HOUR, why="paid")
        refused(
            tx,
            (trust.SamePerson, lambda: trust.decide_resume(tx, "lyon", yes=True, by=ADA, at=later, why="y")),
        )
        trust.decide_resume(tx, "lyon", yes=True, by=BO, at=later + 2 * HOUR, why="seen on the account")

        assert trust.member_standing(tx, "lyon-tcl", later + 2 * HOUR) == "active"
        assert trust.member_standing(tx, "lyon-tcl", later + HOUR) == "suspended", "it was, then"
        (key,) = trust.current_trust_list(tx, at=NOW + 5 * HOUR).keys
        assert key.status == "active"
        assert [one.step for one in trust.member_facts(tx, "lyon")] == [
            "joined",
            "suspended",
            "resume_proposed",
            "resumed",
        ]


def test_a_suspension_from_later_on_begins_by_itself(ctx: Context) -> None:
    with ctx.tx() as tx:
        let_in(tx)
        trust.suspend(tx, "lyon-card", by=ADA, at=NOW, why="licence ends", from_at=NOW + DAY)

        trust.turn_members(tx, NOW + HOUR)
        assert trust.member_standing(tx, "lyon-card", NOW + HOUR) == "active"
        assert [key.status for key in trust.current_trust_list(tx, at=NOW + HOUR).keys] == ["active"]
        trust.turn_members(tx, NOW + DAY)

        assert trust.member_standing(tx, "lyon-card", NOW + DAY) == "suspended"
        assert trust.member_standing(tx, "lyon-tcl", NOW + DAY) == "active"
        assert [key.status for key in trust.current_trust_list(tx, at=NOW + DAY).keys] == ["retired"]


def test_a_member_runs_down_and_leaves_once_nothing_of_it_is_open(ctx: Context) -> None:
    ends = NOW + 30 * DAY
    still = trust.Left("position to hangzhou-metro", "12.00 CNY", "Wait for its window")
    with ctx.tx() as tx:
        let_in(tx)

        def finish(at: datetime, *things: trust.Left) -> trust.MemberLife:
            return trust.finish_leave(
                tx,
                "lyon",
                by=BO,
                at=at,
                why="all paid",
                open_things=things,
                reserve={"EUR": "500.00 until March"},
            )

        refused(
            tx,
            (InvalidInput, lambda: trust.propose_leave(tx, "lyon", NOW - DAY, by=ADA, at=NOW, why="y")),
            (trust.MemberDecided, lambda: finish(NOW)),
        )
        trust.propose_leave(tx, "lyon", ends, by=ADA, at=NOW, why="merges with Rhone")
        refused(
            tx, (trust.SamePerson, lambda: trust.decide_leave(tx, "lyon", yes=True, by=ADA, at=NOW, why="y"))
        )
        trust.decide_leave(tx, "lyon", yes=True, by=BO, at=NOW, why="letter of 1 November")

        trust.check_may(tx, "lyon-tcl", "ride", ends - HOUR)
        over: dict[trust.Doing, datetime] = {
            "open": NOW,
            "agree": NOW,
            "ride": ends,
            "transfer": ends,
            "sign": ends,
        }
        for doing, at in over.items():
            with pytest.raises(trust.MemberMayNot):
                trust.check_may(tx, "lyon-tcl", doing, at)
        assert trust.shut_out(tx, "ride", ends) == dict.fromkeys(("lyon", "lyon-card", "lyon-tcl"), ends)
        refused(
            tx,
            (trust.NotYetLeft, lambda: finish(ends - HOUR)),
            (trust.NotYetLeft, lambda: finish(ends, still)),
        )
        with pytest.raises(trust.NotYetLeft, match=r"position to hangzhou-metro: 12.00 CNY"):
            finish(ends, still)

        assert finish(ends).standing == "left" and finish(ends).standing == "left"

        assert trust.member_standing(tx, "lyon-card", ends) == "left"
        assert [key.status for key in trust.current_trust_list(tx, at=ends).keys] == ["retired"]
        refused(
            tx,
            (trust.MemberDecided, lambda: trust.suspend(tx, "lyon", by=ADA, at=ends, why="y")),
            (
                trust.MemberDecided,
                lambda: trust.propose_leave(tx, "lyon", ends + DAY, by=ADA, at=ends, why="y"),
            ),
        )


def test_a_leaving_can_be_called_off(ctx: Context) -> None:
    with ctx.tx() as tx:
        let_in(tx)
        trust.propose_leave(tx, "lyon", NOW + DAY, by=ADA, at=NOW, why="merges")
        trust.decide_leave(tx, "lyon", yes=True, by=BO, at=NOW, why="y")
        refused(tx, (trust.SamePerson, lambda: trust.stay(tx, "lyon", by=BO, at=NOW, why="y")))

        assert trust.stay(tx, "lyon", by=ADA, at=NOW + HOUR, why="the council voted no").standing == "active"
        trust.check_may(tx, "lyon-tcl", "open", NOW + 2 * DAY)


def test_the_worse_standing_counts_and_time_decides() -> None:
    made = [
        MemberFact("joined", NOW, BO, NOW, ""),
        MemberFact("suspended", NOW + DAY, ADA, NOW, "x"),
        MemberFact("leaving", NOW + 9 * DAY, BO, NOW + 2 * DAY, "y"),
        MemberFact("resumed", NOW + 3 * DAY, BO, NOW + 3 * DAY, "z"),
        MemberFact("left", NOW + 10 * DAY, BO, NOW + 10 * DAY, ""),
    ]
    days = {0: "active", 1: "suspended", 2: "suspended", 3: "leaving", 9: "leaving", 10: "left"}

    assert {n: life_at("m", made, NOW + n * DAY).standing for n in days} == days
    active = life_at("part", made[:1], NOW)
    assert worse(active, life_at("m", made, NOW + DAY)).standing == "suspended"


def test_the_database_rewrites_no_decision(ctx: Context) -> None:
    with ctx.tx() as tx:
        let_in(tx)

    for table in ("applications", "application_facts", "member_facts", "account_changes", "account_facts"):
        with pytest.raises(RestrictViolation, match="never rewritten"), ctx.tx() as tx:
            tx.execute(f"delete from trust.{table}")  # pyright: ignore[reportArgumentType,reportCallIssue]


def test_two_clerks_at_once_let_a_member_in_once(committed_ctx: Context) -> None:
    ctx = committed_ctx
    with ctx.tx() as tx:
        trust.hand_in_application(tx, id_of("lyon"), LYON, by=ADA, at=NOW)
    told: list[str] = []

    def decide(n: int) -> None:
        do = trust.approve_application if n % 2 else trust.refuse_application
        try:
            with ctx.tx() as tx:
                told.append(do(tx, id_of("lyon"), by=f"league:clerk{n}", at=NOW, why="now").state)
        except HansaError as error:
            told.append(error.code)

    clerks = [threading.Thread(target=decide, args=(n,)) for n in range(6)]
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()

    with ctx.tx() as tx:
        found = trust.get_application(tx, id_of("lyon"))
        there = {member.member_id for member in trust.list_members(tx)}
    assert len(found.facts) == 2 and told.count("trust.member_decided") == 3
    assert there == ({"lyon", "lyon-card", "lyon-tcl"} if found.state == "approved" else set())
