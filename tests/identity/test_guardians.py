"""Guardians: invited by a code, accepted under a proved name, ended by either, and by itself at majority."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest

from hansa import identity
from hansa.identity import Sealer
from hansa.store import Context, Tx
from identity.sealed import Keys, Register, card
from identity.test_accounts import AT, rider

CHILD, MOTHER, FATHER, BROTHER = (rider(n).account_id for n in range(1, 5))
NINE = date(2017, 6, 1)
DAY = timedelta(days=1)


@pytest.fixture
def sealer() -> Sealer:
    return Keys().sealer()


@pytest.fixture
def tx(ctx: Context, sealer: Sealer) -> Iterator[Tx]:
    """A child of nine, two parents whose names are proved, a brother of sixteen whose name is too."""
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(n) for n in range(1, 5)])
        identity.state_birth(tx, sealer, CHILD, NINE, country="CN", at=AT)
    for number, account, born in (
        (1, MOTHER, date(1985, 1, 1)),
        (2, FATHER, date(1986, 1, 1)),
        (3, BROTHER, date(2010, 1, 1)),
    ):
        identity.ask_proofing(
            ctx,
            sealer,
            Register(),
            proofing_id=rider(100 + number).account_id,
            account_id=account,
            name="高山",
            document=card(number, born=born),
            policy=identity.own_level_policy(),
        )
    with ctx.tx() as tx:
        yield tx


def invite(tx: Tx, sealer: Sealer, *, at: datetime = AT, sees: bool = False) -> str:
    return identity.invite_guardian(tx, sealer, CHILD, country="CN", sees_journeys=sees, at=at).code


def accept(
    tx: Tx, sealer: Sealer, code: str, who: identity.AccountId = MOTHER, at: datetime = AT
) -> identity.Guardianship:
    return identity.accept_guardian(tx, sealer, who, code, country="CN", at=at)


def kept(tx: Tx) -> list[object]:
    return [tx.execute("select * from identity.guardianships order by 1").fetchall()]


def test_a_child_needs_a_guardian_until_one_accepts(tx: Tx, sealer: Sealer) -> None:
    assert identity.lacks_guardian(tx, sealer, CHILD, country="CN", day=AT.date())
    assert not identity.lacks_guardian(tx, sealer, MOTHER, country="CN", day=AT.date())

    code = invite(tx, sealer)
    accepted = accept(tx, sealer, f" {code.lower().replace('-', ' ')} ")

    assert (accepted.state, accepted.ward_id, accepted.guardian_id) == ("accepted", CHILD, MOTHER)
    assert not identity.lacks_guardian(tx, sealer, CHILD, country="CN", day=AT.date())
    assert identity.guardian_of(tx, CHILD) == [MOTHER] and identity.wards_of(tx, MOTHER) == [CHILD]
    assert code.replace("-", "") not in repr(kept(tx))


def test_whether_a_guardian_sees_journeys_the_ward_says(tx: Tx, sealer: Sealer) -> None:
    guardianship = accept(tx, sealer, invite(tx, sealer))

    assert identity.guardian_may(tx, MOTHER, CHILD, "approve")
    assert not identity.guardian_may(tx, MOTHER, CHILD, "see_journeys")
    identity.let_see_journeys(tx, CHILD, guardianship.guardianship_id, sees=True)
    assert identity.guardian_may(tx, MOTHER, CHILD, "see_journeys")
    assert not identity.guardian_may(tx, FATHER, CHILD, "approve")
    with pytest.raises(identity.UnknownGuardianship):
        identity.let_see_journeys(tx, MOTHER, guardianship.guardianship_id, sees=True)


def test_an_invitation_is_good_once_and_for_three_days(tx: Tx, sealer: Sealer) -> None:
    code, late = invite(tx, sealer), invite(tx, sealer)
    accept(tx, sealer, code)
    before = kept(tx)

    for bad, at in ((code, AT), ("AAAAA-AAAAA", AT), ("", AT), (late, AT + 3 * DAY)):
        with pytest.raises(identity.InvitationRefused):
            accept(tx, sealer, bad, FATHER, at)

    assert kept(tx) == before
    assert accept(tx, sealer, late, FATHER).guardian_id == FATHER


@pytest.mark.parametrize("who", ["child", "brother", "unproved"])
def test_who_cannot_be_a_guardian(tx: Tx, sealer: Sealer, who: str) -> None:
    identity.open_accounts(tx, [rider(5)])
    code = invite(tx, sealer)
    before = kept(tx)

    with pytest.raises(identity.CannotBeGuardian):
        accept(tx, sealer, code, {"child": CHILD, "brother": BROTHER, "unproved": rider(5).account_id}[who])

    assert kept(tx) == before and identity.guardian_of(tx, CHILD) == []


def test_only_a_minor_invites_a_guardian(tx: Tx, sealer: Sealer) -> None:
    for account in (MOTHER, rider(5).account_id):
        identity.open_accounts(tx, [rider(5)])
        with pytest.raises(identity.NotAMinor):
            identity.invite_guardian(tx, sealer, account, country="CN", sees_journeys=False, at=AT)


def test_the_last_guardian_of_a_small_child_stays(tx: Tx, sealer: Sealer) -> None:
    first = accept(tx, sealer, invite(tx, sealer))
    before = kept(tx)

    for who in (CHILD, MOTHER):
        with pytest.raises(identity.LastGuardian):
            identity.end_guardianship(tx, sealer, who, first.guardianship_id, country="CN", at=AT)
    with pytest.raises(identity.UnknownGuardianship):
        identity.end_guardianship(tx, sealer, FATHER, first.guardianship_id, country="CN", at=AT)
    assert kept(tx) == before

    accept(tx, sealer, invite(tx, sealer), FATHER)
    for _ in range(2):
        ended = identity.end_guardianship(tx, sealer, MOTHER, first.guardianship_id, country="CN", at=AT)
        assert (ended.state, ended.ended_for) == ("ended", "by_guardian")
    assert identity.guardian_of(tx, CHILD) == [FATHER]


def test_a_guardianship_ends_by_itself_on_the_day_of_majority(tx: Tx, sealer: Sealer) -> None:
    accept(tx, sealer, invite(tx, sealer))
    birthday = datetime.combine(date(2035, 6, 1), AT.timetz())

    def look(at: datetime) -> list[str | None]:
        found = identity.wards_to_look_at(tx, at.date())
        ended = identity.end_at_majority(tx, sealer, found, {CHILD: "CN"}, at=at)
        return [one.ended_for for one in ended]

    assert look(birthday - DAY) == [] and identity.guardian_of(tx, CHILD) == [MOTHER]
    assert identity.wards_to_look_at(tx, (birthday - DAY).date()) == []
    assert look(birthday) == ["majority"] and identity.guardian_of(tx, CHILD) == []
    assert look(birthday + DAY) == []


def test_invitations_are_few_and_can_be_taken_back(tx: Tx, sealer: Sealer) -> None:
    invitations = [
        identity.invite_guardian(tx, sealer, CHILD, country="CN", sees_journeys=False, at=AT)
        for _ in range(5)
    ]
    with pytest.raises(identity.TooManyGuardians):
        invite(tx, sealer)

    identity.end_guardianship(
        tx, sealer, CHILD, invitations[0].guardianship.guardianship_id, country="CN", at=AT
    )
    with pytest.raises(identity.InvitationRefused):
        accept(tx, sealer, invitations[0].code)
    invite(tx, sealer)
    invite(tx, sealer, at=AT + 4 * DAY)  # those that lapsed count no more


def test_a_guardian_agrees_for_a_small_child_until_it_is_old_enough(tx: Tx, sealer: Sealer) -> None:
    accept(tx, sealer, invite(tx, sealer))

    def say(by: identity.AccountId, *, given: bool = True) -> identity.Consent:
        return identity.say_consent(
            tx,
            CHILD,
            "offers",
            given=given,
            text_version=1,
            language="en",
            channel="wallet",
            by_id=by,
            at=AT,
        )

    for who in (CHILD, FATHER):
        with pytest.raises(identity.GuardianAgrees):
            say(who)
    assert not identity.may(tx, CHILD, "offers")
    assert say(MOTHER).by_id == MOTHER and identity.may(tx, CHILD, "offers")
    say(CHILD, given=False)
    assert not identity.may(tx, CHILD, "offers")

    fourteen = datetime.combine(date(2031, 6, 1), AT.timetz())
    found = identity.wards_to_look_at(tx, fourteen.date())
    assert identity.end_at_majority(tx, sealer, found, {CHILD: "CN"}, at=fourteen) == []
    assert identity.guardian_of(tx, CHILD) == [MOTHER]
    assert say(CHILD).by_id == CHILD


def test_a_child_without_a_guardian_agrees_to_nothing_and_grows_out_of_it(tx: Tx, sealer: Sealer) -> None:
    def lacks() -> bool:
        return identity.knowledge_of(tx, [CHILD])[CHILD].lacks_guardian

    def agree() -> identity.Consent:
        return identity.say_consent(
            tx,
            CHILD,
            "offers",
            given=True,
            text_version=1,
            language="en",
            channel="wallet",
            by_id=CHILD,
            at=AT,
        )

    with pytest.raises(identity.GuardianNeeded):
        agree()
    assert lacks() and identity.list_consents(tx, CHILD) == []

    for day, still in ((date(2031, 5, 31), True), (date(2031, 6, 1), False)):
        due = identity.births_to_look_at(tx, day)
        assert due == [CHILD] or CHILD in due
        needing = identity.look_at_births(tx, sealer, dict.fromkeys(due, "CN"), today=day)
        assert (needing == [CHILD]) is still and lacks() is still
    assert identity.births_to_look_at(tx, date(2040, 1, 1)) == []
    assert agree().given


def test_what_a_proof_says_of_an_age_counts_once_it_was_looked_at(
    ctx: Context, tx: Tx, sealer: Sealer
) -> None:
    with tx.transaction():  # what the brother stated does not count, what his document says does
        due = identity.births_to_look_at(tx, AT.date())
    assert set(due) == {MOTHER, FATHER, BROTHER}
    assert identity.look_at_births(tx, sealer, dict.fromkeys(due, "ZZ"), today=AT.date()) == [BROTHER]
    assert identity.knowledge_of(tx, [BROTHER])[BROTHER].lacks_guardian
