"""Tariffs on their way into force: two persons, one first day, nothing half done."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from hansa import rides, trust
from hansa.kernel import HansaError, InvalidInput, new_id
from hansa.rides import TariffConflict, TariffSource
from hansa.store import Context
from rides.riding import League, local, tariff_of

HANGZHOU = "hangzhou-metro"
NEAR = ("hangzhou/xianghu", "hangzhou/binkanglu")
ADA, BO = "person:ada", "person:bo"
NOW = datetime(2026, 11, 17, 9, tzinfo=UTC)
TODAY = date(2026, 11, 17)


def dearer(first_day: str, *, fare: str = "9.00") -> TariffSource:
    """Hangzhou's tariff from another day on, with another fare for the first four kilometres."""
    text = tariff_of(HANGZHOU).source.toml
    return TariffSource(
        text.replace("valid_from = 2024-01-01", f"valid_from = {first_day}").replace(
            'fare = "2.00"', f'fare = "{fare}"', 1
        ),
        {},
    )


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = NOW  # type: ignore[attr-defined]
    return League(ctx, HANGZHOU)


def propose(ctx: Context, source: TariffSource, *, by: str = ADA, **more: object) -> rides.Proposal:
    proposal_id = more.pop("proposal_id", None) or new_id()
    assert isinstance(proposal_id, UUID)
    with ctx.tx() as tx:
        return rides.propose_tariff(
            tx,
            proposal_id,
            operator_id=HANGZHOU,
            source=source,
            by=by,
            at=ctx.clock.now(),
            **more,  # type: ignore[arg-type]
        )


def approve(
    ctx: Context, proposal_id: UUID, *, by: str = BO, days_again: int | None = None
) -> rides.Proposal:
    with ctx.tx() as tx:
        return rides.approve_tariff(tx, proposal_id, by=by, at=ctx.clock.now(), days_again=days_again)


def withdraw(ctx: Context, proposal_id: UUID, why: str = "a slip") -> rides.Proposal:
    with ctx.tx() as tx:
        return rides.withdraw_tariff(tx, proposal_id, by=BO, at=ctx.clock.now(), why=why)


def kept(ctx: Context) -> tuple[object, ...]:
    """All that proposals could change: to see that a refusal changed nothing."""
    with ctx.tx() as tx:
        return (
            rides.list_proposals(tx, ctx.clock.now()),
            rides.list_tariffs(tx),
            tx.execute("select count(*) from rides.dirty_days").fetchall(),
        )


def test_a_second_person_puts_a_tariff_in_force_from_its_first_day(league: League) -> None:
    ctx = league.ctx
    proposal = propose(ctx, dearer("2026-12-01"), note="dearer from December")
    assert (proposal.state, proposal.errors) == ("proposed", 0)

    approved = approve(ctx, proposal.proposal_id)

    assert approved.state == "scheduled"
    assert [(one.step, one.by_whom) for one in approved.facts] == [
        ("checked", ADA),
        ("proposed", ADA),
        ("approved", BO),
    ]
    with ctx.tx() as tx:
        assert rides.get_tariff(tx, HANGZHOU, date(2026, 11, 30)) == tariff_of(HANGZHOU)
        assert rides.get_tariff(tx, HANGZHOU, date(2026, 12, 1)).source == dearer("2026-12-01")
        later = rides.get_proposal(tx, proposal.proposal_id, datetime(2026, 12, 2, tzinfo=UTC))
    assert later.state == "in_force"


def test_who_wrote_it_or_proposed_it_cannot_approve_it(league: League) -> None:
    ctx = league.ctx
    draft = propose(ctx, dearer("2026-12-01"), submit=False)
    with ctx.tx() as tx:
        rides.submit_tariff(tx, draft.proposal_id, by=BO, at=NOW)
    before = kept(ctx)

    for same in (ADA, BO):
        with pytest.raises(rides.SamePerson):
            approve(ctx, draft.proposal_id, by=same)

    assert kept(ctx) == before
    assert approve(ctx, draft.proposal_id, by="person:cy").state == "scheduled"


def test_sending_again_is_harmless_and_another_body_under_the_id_is_refused(league: League) -> None:
    ctx, source = league.ctx, dearer("2026-12-01")
    first = propose(ctx, source)
    assert propose(ctx, source, proposal_id=first.proposal_id) == first
    approved = approve(ctx, first.proposal_id)
    assert approve(ctx, first.proposal_id) == approved
    before = kept(ctx)

    with pytest.raises(rides.ProposalConflict):
        propose(ctx, dearer("2026-12-02"), proposal_id=first.proposal_id)

    assert kept(ctx) == before


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ('fare = "4.00"', 'fare = "4.00', "tariff.toml line 37", "not TOML"),
        ('currency = "CNY"', 'currency = "HKD"', "line 13, field currency", "have CNY"),
        ('day_starts = "04:00"', 'day_starts = "03:00"', "line 16, field day_starts", "have 04:00:00"),
        ('city = "hangzhou"', 'city = "atlantis"', "line 11, field city", "atlantis"),
        (
            'operator = "hangzhou-metro"',
            'operator = "hangzhou-tram"',
            "line 10, field operator",
            "not hangzhou",
        ),
        ("valid_from = 2026-12-01", "valid_from = 2024-01-01", "line 14, field valid_from", "another tariff"),
        ("valid_from = 2026-12-01", "valid_from = 9999-12-31", "line 14, field valid_from", "9999"),
        ("valid_from = 2026-12-01", "valid_from = 0001-01-01", "line 14, field valid_from", "0001"),
        ("up_to_m = 12000", "up_to_m = 7000", "line 36, field basis.band[2].up_to_m", "not"),
        ("[basis.beyond]", "[basis.after]", "line 44, field basis.after", "is not a field here"),
    ],
)
def test_a_tariff_with_errors_stays_a_draft_that_names_line_and_field(
    league: League, old: str, new: str, where: str, what: str
) -> None:
    text = dearer("2026-12-01").toml
    assert old in text

    draft = propose(league.ctx, TariffSource(text.replace(old, new, 1), {}))

    assert draft.state == "draft"
    assert any(where in one.where and what in one.what and one.remedy for one in draft.findings), (
        draft.findings
    )
    before = kept(league.ctx)
    with pytest.raises(InvalidInput), league.ctx.tx() as tx:
        rides.submit_tariff(tx, draft.proposal_id, by=ADA, at=NOW)
    with pytest.raises(rides.ProposalClosed):
        approve(league.ctx, draft.proposal_id)
    assert kept(league.ctx) == before


def test_a_gap_and_a_stop_nobody_knows_and_a_cap_in_another_currency_are_told(league: League) -> None:
    text = dearer("2026-12-01").toml
    no_end = text.replace('[basis.beyond]\nevery_m = 8000\nadd = "1.00"\n', "")
    stop = '[[override]]\nname = "Airport"\nstops = ["hangzhou/nowhere"]\nfare = "9.00"\n'
    cap = '[[cap]]\nperiod = "day"\ncurrency = "HKD"\namount = "20.00"\n'

    told = [
        propose(league.ctx, TariffSource(one, {})).findings
        for one in (
            no_end,
            text.replace("[journey]", f"{stop}\n[journey]"),
            text.replace("[journey]", f"{cap}\n[journey]"),
        )
    ]

    assert any("no fare for" in one.what and "beyond the last distance band" in one.what for one in told[0])
    assert any("no stop 'hangzhou/nowhere'" in one.what and "override[0]" in one.where for one in told[1])
    assert any("another currency" in one.what and "cap[0]" in one.where for one in told[2])


def test_a_draft_is_mended_by_one_that_takes_its_place(league: League) -> None:
    ctx = league.ctx
    wrong = propose(ctx, TariffSource("nothing", {}))
    assert (wrong.state, wrong.name, wrong.valid_from) == ("draft", None, None)

    right = propose(ctx, dearer("2026-12-01"), by=BO, replaces=wrong.proposal_id)

    with ctx.tx() as tx:
        assert rides.get_proposal(tx, wrong.proposal_id, NOW).state == "superseded"
    before = kept(ctx)
    with pytest.raises(rides.ProposalClosed):
        propose(ctx, dearer("2026-12-02"), replaces=wrong.proposal_id)
    assert kept(ctx) == before
    assert approve(ctx, right.proposal_id, by=ADA).state == "scheduled"


def test_a_first_day_that_has_begun_needs_the_count_of_days_to_rate_again(league: League) -> None:
    ctx = league.ctx
    for number, day in enumerate((14, 15, 15, 17)):
        at = local(tariff_of(HANGZHOU), "08:00", date(2026, 11, day))
        league.hand_in(league.ride(HANGZHOU, *NEAR, at, league.rider(number)))
    rides.rate(ctx)
    proposal = propose(ctx, dearer("2026-11-15"))
    with ctx.tx() as tx:
        source = rides.read_source(rides.proposal_source(tx, proposal.proposal_id))
        assert rides.days_to_rate_again(tx, source, NOW) == (2, 3, 6)
    before = kept(ctx)

    for wrong in (None, 1, 3):
        with pytest.raises(rides.StartsInThePast, match="2 service days with 6 taps of 3 riders' days"):
            approve(ctx, proposal.proposal_id, days_again=wrong)

    assert kept(ctx) == before
    assert approve(ctx, proposal.proposal_id, days_again=2).state == "in_force"
    ctx.clock.at = datetime(2030, 1, 1, tzinfo=UTC)  # type: ignore[attr-defined]
    rides.rate(ctx)
    assert [league.charged(number) for number in range(4)] == [[200], [900], [900], [900]]


def test_what_is_approved_can_be_taken_back_until_an_hour_before_it_begins(league: League) -> None:
    ctx = league.ctx
    first, second = propose(ctx, dearer("2026-12-01")), propose(ctx, dearer("2026-12-01", fare="8.00"))
    approve(ctx, first.proposal_id)
    with ctx.tx() as tx:
        assert rides.get_proposal(tx, second.proposal_id, NOW).state == "superseded"

    assert withdraw(ctx, first.proposal_id).state == "withdrawn"
    assert withdraw(ctx, first.proposal_id).state == "withdrawn"

    with ctx.tx() as tx:
        assert rides.get_tariff(tx, HANGZHOU, date(2026, 12, 1)) == tariff_of(HANGZHOU)
    third = propose(ctx, dearer("2026-12-01", fare="7.00"))
    approve(ctx, third.proposal_id)
    ctx.clock.at = local(tariff_of(HANGZHOU), "03:30", date(2026, 12, 1))  # type: ignore[attr-defined]
    before = kept(ctx)
    with pytest.raises(rides.ProposalClosed, match="followed by another"):
        withdraw(ctx, third.proposal_id)
    assert kept(ctx) == before


def test_an_open_proposal_is_taken_back_with_a_reason_and_then_decided_no_more(league: League) -> None:
    ctx = league.ctx
    proposal = propose(ctx, dearer("2026-12-01"))
    before = kept(ctx)
    with pytest.raises(InvalidInput):
        withdraw(ctx, proposal.proposal_id, why=" ")
    assert kept(ctx) == before

    assert withdraw(ctx, proposal.proposal_id).state == "withdrawn"

    before = kept(ctx)
    with pytest.raises(rides.ProposalClosed):
        approve(ctx, proposal.proposal_id)
    assert kept(ctx) == before


def test_what_does_not_fit_or_belongs_to_nobody_is_not_kept(league: League) -> None:
    ctx, before = league.ctx, kept(league.ctx)

    with pytest.raises(InvalidInput, match="NUL"):
        propose(ctx, TariffSource("name = '\0'", {}))
    with pytest.raises(InvalidInput, match="bytes"):
        propose(ctx, TariffSource("", {"fares.csv": "x" * 34_000_000}))
    with pytest.raises(InvalidInput, match="no name of a table"):
        propose(ctx, TariffSource("", {'a".csv': "x"}))
    with pytest.raises(trust.UnknownMember), ctx.tx() as tx:
        rides.propose_tariff(tx, new_id(), operator_id="nobody", source=dearer("2026-12-01"), by=ADA, at=NOW)
    with pytest.raises(rides.UnknownProposal):
        approve(ctx, new_id())

    assert kept(ctx) == before


def test_of_many_who_decide_at_once_one_is_first_and_the_books_hold_one_tariff(
    committed_ctx: Context,
) -> None:
    """Two rivals for one first day, each approved and withdrawn by several at the same time."""
    committed_ctx.clock.at = NOW  # type: ignore[attr-defined]
    ctx = League(committed_ctx, HANGZHOU).ctx
    rivals = [propose(ctx, dearer("2026-12-01", fare=fare)) for fare in ("7.00", "8.00")]

    def decide(number: int) -> str:
        proposal_id = rivals[number % 2].proposal_id
        try:
            if number % 5 == 4:
                return withdraw(ctx, proposal_id).state
            return approve(ctx, proposal_id, by=f"person:{number}").state
        except (rides.ProposalClosed, TariffConflict, InvalidInput) as error:
            return error.code
        except HansaError as error:
            return f"unexpected: {error!r}"

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(decide, range(12)))

    with ctx.tx() as tx:
        found = [rides.get_proposal(tx, one.proposal_id, NOW) for one in rivals]
        versions = [one for one in rides.list_tariffs(tx) if one.valid_from == date(2026, 12, 1)]
    scheduled = [one for one in found if one.state == "scheduled"]
    assert not any("unexpected" in one for one in said), said
    assert len(scheduled) == len(versions) <= 1
    assert [one.digest for one in scheduled] == [one.digest for one in versions]
    for one in found:
        approved = [fact for fact in one.facts if fact.step == "approved"]
        assert len(approved) <= 1
