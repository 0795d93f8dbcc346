"""Proof of a real name: asked once, asked again while nothing is known, one document for one person in the league."""

import threading
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from hansa import identity
from hansa.identity import Match, NoMatch, ProofLevel, Sealer, Unavailable
from hansa.kernel import FixedClock, HansaError, InvalidInput
from hansa.store import Context
from identity.sealed import Keys, Register, card, resident
from identity.test_accounts import rider

ONE, TWO, AWAY = rider(1), rider(2), rider(3, city="london")
POLICY = identity.own_level_policy()
YES, NO, SILENT = (
    Register(),
    Register(lambda _: NoMatch(b"no")),
    Register(lambda _: Unavailable("it is down")),
)
UNTIL = "2031-05-06"


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def sealer(keys: Keys) -> Sealer:
    return keys.sealer()


@pytest.fixture
def opened(ctx: Context) -> Context:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [ONE, TWO, AWAY])
    return ctx


def ask(
    ctx: Context,
    sealer: Sealer,
    account: identity.Account,
    document: identity.Presented,
    provider: Register = YES,
    *,
    name: str = "高兰",
    proofing_id: UUID | None = None,
    policy: identity.LevelPolicy = POLICY,
) -> identity.Proofing:
    return identity.ask_proofing(
        ctx,
        sealer,
        provider,
        proofing_id=proofing_id or uuid4(),
        account_id=account.account_id,
        name=name,
        document=document,
        policy=policy,
    )


def level(ctx: Context, account: identity.Account) -> ProofLevel:
    with ctx.tx() as tx:
        return identity.proof_level(tx, account.account_id)


def all_there_is(ctx: Context) -> list[object]:
    tables = ("proofings", "persons", "person_accounts", "documents", "births", "data_keys")
    with ctx.tx() as tx:
        return [tx.execute(f"select * from identity.{one} order by 1").fetchall() for one in tables]  # pyright: ignore


def pass_time(ctx: Context, time: timedelta) -> None:
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += time


def test_a_name_and_a_number_that_match_prove_a_name_and_the_day_of_birth(
    opened: Context, sealer: Sealer
) -> None:
    proofing = ask(opened, sealer, ONE, card())

    assert (proofing.state, proofing.level, proofing.name) == ("matched", ProofLevel.NAME, "高兰")
    assert proofing.good_until == date(2031, 11, 17)
    with opened.tx() as tx:
        birth = identity.find_birth(tx, sealer, ONE.account_id)
        assert birth is not None and (birth.born, birth.source) == (date(1990, 3, 7), "proof")
        assert identity.proven_name(tx, sealer, ONE.account_id) == "高兰"
        person = identity.person_of(tx, ONE.account_id)
        assert person is not None and identity.accounts_of_person(tx, person) == [ONE.account_id]
        kept = repr(tx.execute("select * from identity.proofings").fetchall())
        assert resident(1) not in kept and "高兰" not in kept


def test_the_document_itself_is_proved_where_its_validity_is_told(opened: Context, sealer: Sealer) -> None:
    proofing = ask(opened, sealer, ONE, card(expires=UNTIL))

    assert (proofing.level, proofing.good_until) == (ProofLevel.DOCUMENT, date(2031, 5, 6))
    assert level(opened, ONE) == ProofLevel.DOCUMENT
    pass_time(opened, timedelta(days=6 * 365))
    assert identity.finish_proofings(opened, sealer, YES, policy=POLICY) == 1
    assert level(opened, ONE) == ProofLevel.NONE


def test_a_provider_never_proves_more_than_was_asked(opened: Context, sealer: Sealer) -> None:
    generous = Register(lambda _: Match(ProofLevel.DOCUMENT, b"all"))
    mean = Register(lambda _: Match(ProofLevel.CONTACT, b"little"))

    assert ask(opened, sealer, ONE, card(), generous).level == ProofLevel.NAME
    assert ask(opened, sealer, TWO, card(2), mean).state == "refused"


def test_what_does_not_match_proves_nothing_and_says_nothing(opened: Context, sealer: Sealer) -> None:
    assert ask(opened, sealer, ONE, card(), NO).state == "not_matched"

    assert level(opened, ONE) == ProofLevel.NONE
    with opened.tx() as tx:
        assert tx.execute("select count(*) from identity.documents").fetchone() == (0,)
        assert identity.find_birth(tx, sealer, ONE.account_id) is None


def test_a_provider_that_is_down_is_asked_again_with_the_same_reference(
    opened: Context, sealer: Sealer
) -> None:
    answers = iter([Unavailable("down"), Unavailable("slow"), Match(ProofLevel.NAME, b"yes")])
    shaky = Register(lambda _: next(answers))

    first = ask(opened, sealer, ONE, card(), shaky)
    assert first.state == "asked" and level(opened, ONE) == ProofLevel.NONE
    assert identity.finish_proofings(opened, sealer, shaky, policy=POLICY) == 0  # not yet
    for _ in range(2):
        pass_time(opened, timedelta(minutes=10))
        identity.finish_proofings(opened, sealer, shaky, policy=POLICY)

    assert shaky.asked == [first.proofing_id] * 3
    assert level(opened, ONE) == ProofLevel.NAME


def test_a_provider_that_never_answers_lets_the_question_lapse(opened: Context, sealer: Sealer) -> None:
    silent = Register(SILENT.rule)
    proofing = ask(opened, sealer, ONE, card(), silent)

    for _ in range(POLICY.asks_max):
        pass_time(opened, timedelta(hours=13))
        identity.finish_proofings(opened, sealer, silent, policy=POLICY)

    with opened.tx() as tx:
        lapsed = identity.get_proofing(tx, sealer, ONE.account_id, proofing.proofing_id)
    assert (lapsed.state, lapsed.ended_for) == ("lapsed", "unavailable")
    assert len(silent.asked) == POLICY.asks_max
    assert ask(opened, sealer, ONE, card()).state == "matched"


def test_asking_again_with_the_same_id_is_asking_once(opened: Context, sealer: Sealer, keys: Keys) -> None:
    provider, proofing_id = Register(), uuid4()
    first = ask(opened, sealer, ONE, card(), provider, proofing_id=proofing_id)
    keys.lookups.rotate()
    sealer.look_again()

    assert ask(opened, sealer, ONE, card(), provider, proofing_id=proofing_id) == first
    assert provider.asked == [proofing_id]
    before = all_there_is(opened)
    for account, document, name in ((TWO, card(), "高兰"), (ONE, card(3), "高兰"), (ONE, card(), "高蓝")):
        with pytest.raises(identity.ProofingDiffers):
            ask(opened, sealer, account, document, provider, name=name, proofing_id=proofing_id)
    assert all_there_is(opened) == before


def test_the_form_answers_no_guesses(opened: Context, sealer: Sealer) -> None:
    for order in range(POLICY.checks_per_day):
        ask(opened, sealer, ONE, card(order), NO)
    before = all_there_is(opened)

    with pytest.raises(identity.TooManyChecks):
        ask(opened, sealer, ONE, card(9))

    assert all_there_is(opened) == before
    pass_time(opened, timedelta(days=1))
    assert ask(opened, sealer, ONE, card(9)).state == "matched"


def test_one_check_at_a_time(opened: Context, sealer: Sealer) -> None:
    ask(opened, sealer, ONE, card(), SILENT)
    before = all_there_is(opened)

    with pytest.raises(identity.ProofingWaits):
        ask(opened, sealer, ONE, card(2))

    assert all_there_is(opened) == before


@pytest.mark.parametrize("name", ["", "A", "R2 D2", "   ", "‮evil", "x" * 121])
def test_a_name_that_is_none_is_refused_before_anything(opened: Context, sealer: Sealer, name: str) -> None:
    before = all_there_is(opened)

    with pytest.raises(InvalidInput, match="name"):
        ask(opened, sealer, ONE, card(), name=name)

    assert all_there_is(opened) == before


# -- one document, one person -------------------------------------------------------------------------------


def test_a_second_account_at_the_same_issuer_is_refused_with_a_way_out(
    opened: Context, sealer: Sealer
) -> None:
    ask(opened, sealer, ONE, card())

    refused = ask(opened, sealer, TWO, card(), name="高 兰")

    assert (refused.state, refused.ended_for) == ("refused", "document_taken")
    assert "sign in to it" in identity.REFUSED_FOR["document_taken"]
    assert (level(opened, ONE), level(opened, TWO)) == (ProofLevel.NAME, ProofLevel.NONE)
    with opened.tx() as tx:
        assert identity.person_of(tx, TWO.account_id) is None
        assert tx.execute("select count(*) from identity.persons").fetchone() == (1,)


def test_a_second_account_at_another_issuer_is_joined_under_the_person(
    opened: Context, sealer: Sealer
) -> None:
    ask(opened, sealer, ONE, card())
    assert ask(opened, sealer, AWAY, card()).state == "matched"

    with opened.tx() as tx:
        person = identity.person_of(tx, ONE.account_id)
        assert person is not None and person == identity.person_of(tx, AWAY.account_id)
        assert identity.accounts_of_person(tx, person) == [ONE.account_id, AWAY.account_id]


def test_an_issuer_may_let_a_person_have_two_accounts(opened: Context, sealer: Sealer) -> None:
    rules = replace_default(POLICY, second_account="join")
    ask(opened, sealer, ONE, card(), policy=rules)

    assert ask(opened, sealer, TWO, card(), policy=rules).state == "matched"
    with opened.tx() as tx:
        assert identity.person_of(tx, ONE.account_id) == identity.person_of(tx, TWO.account_id)


def replace_default(policy: identity.LevelPolicy, **changes: object) -> identity.LevelPolicy:
    import msgspec

    return msgspec.structs.replace(policy, default=msgspec.structs.replace(policy.default, **changes))


def test_two_documents_of_one_person_join_the_accounts_that_they_proved(
    opened: Context, sealer: Sealer
) -> None:
    ask(opened, sealer, ONE, card(1))
    ask(opened, sealer, AWAY, card(2))

    ask(opened, sealer, AWAY, card(1))

    with opened.tx() as tx:
        assert identity.person_of(tx, ONE.account_id) == identity.person_of(tx, AWAY.account_id)
        assert tx.execute("select count(*) from identity.persons").fetchone() == (1,)
        assert tx.execute("select count(distinct person_id) from identity.documents").fetchone() == (1,)


def test_whoever_shows_the_document_itself_has_it_before_who_knows_its_number(
    opened: Context, sealer: Sealer
) -> None:
    ask(opened, sealer, ONE, card())

    assert ask(opened, sealer, TWO, card(expires=UNTIL)).state == "matched"

    assert (level(opened, ONE), level(opened, TWO)) == (ProofLevel.NONE, ProofLevel.DOCUMENT)
    with opened.tx() as tx:
        lost = identity.list_proofings(tx, sealer, ONE.account_id)
        assert [(one.state, one.ended_for) for one in lost] == [("ended", "superseded")]
    assert ask(opened, sealer, ONE, card()).state == "refused"


def test_a_document_that_its_issuer_released_may_prove_another_account(
    opened: Context, sealer: Sealer
) -> None:
    ask(opened, sealer, ONE, card())

    with opened.tx() as tx:
        assert identity.release_document(tx, ONE.account_id, at=opened.clock.now()) == 1

    assert level(opened, ONE) == ProofLevel.NONE
    assert ask(opened, sealer, TWO, card()).state == "matched"


def test_documents_are_found_after_the_key_of_digests_was_rotated(
    opened: Context, sealer: Sealer, keys: Keys
) -> None:
    ask(opened, sealer, ONE, card())
    keys.lookups.rotate()
    sealer.look_again()

    assert ask(opened, sealer, TWO, card()).state == "refused"
    assert identity.renew_document_digests(opened, sealer) == 1
    assert identity.renew_document_digests(opened, sealer) == 0
    del keys.lookups.versions[1]
    sealer.look_again()
    pass_time(opened, timedelta(days=1))
    assert ask(opened, sealer, TWO, card()).state == "refused"


def test_two_accounts_with_one_document_at_once_prove_one(committed_ctx: Context, sealer: Sealer) -> None:
    ctx = committed_ctx
    riders = [rider(n) for n in range(1, 9)]
    with ctx.tx() as tx:
        identity.open_accounts(tx, riders)
    together = threading.Barrier(len(riders))
    states: list[str] = []

    def wait(question: identity.Question) -> identity.Answer:
        together.wait(60)
        return Match(ProofLevel.NAME, b"yes")

    def prove(account: identity.Account) -> None:
        try:
            states.append(ask(ctx, sealer, account, card(), Register(wait)).state)
        except HansaError as error:
            states.append(error.code)

    threads = [threading.Thread(target=prove, args=(account,)) for account in riders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(states) == ["matched"] + ["refused"] * 7
    with ctx.tx() as tx:
        assert tx.execute("select count(*) from identity.person_accounts").fetchone() == (1,)
        assert tx.execute("select count(*) from identity.persons").fetchone() == (1,)
        levels = identity.proof_levels(tx, [one.account_id for one in riders])
    assert sorted(levels.values()) == [ProofLevel.NONE] * 7 + [ProofLevel.NAME]


def test_a_question_that_a_crash_left_is_asked_by_whoever_comes_next(opened: Context, sealer: Sealer) -> None:
    def die(_: identity.Question) -> identity.Answer:
        raise SystemExit("killed while the provider was asked")

    proofing_id = uuid4()
    with pytest.raises(SystemExit):
        ask(opened, sealer, ONE, card(), Register(die), proofing_id=proofing_id)
    provider = Register()
    pass_time(opened, timedelta(minutes=2))

    assert identity.finish_proofings(opened, sealer, provider, policy=POLICY) == 1
    assert provider.asked == [proofing_id] and level(opened, ONE) == ProofLevel.NAME


# -- documents as they are presented ------------------------------------------------------------------------

TODAY = date(2026, 11, 17)


@pytest.mark.parametrize(
    ("form", "named"),
    [
        (identity.DocumentForm("resident", number="110101199003070012"), "number"),
        (identity.DocumentForm("resident", number=resident(1), expires="2026-11-16"), "expires"),
        (identity.DocumentForm("resident", number=resident(1), expires="soon"), "expires"),
        (identity.DocumentForm("passport", zone="P<UTO"), "zone"),
        (identity.DocumentForm("other", number="AB12", country="GBR", words="driving licence"), "country"),
        (identity.DocumentForm("other", number="!", country="GB", words="driving licence"), "number"),
        (identity.DocumentForm("other", number="AB12", country="GB", words="x"), "words"),
        (
            identity.DocumentForm("other", number="AB12", country="GB", words="card", born="1790-01-01"),
            "born",
        ),
    ],
)
def test_a_document_that_cannot_be_is_refused_by_its_field(form: identity.DocumentForm, named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        identity.read_document(form, today=TODAY)

    assert [problem.where for problem in refused.value.problems] == [named]
    assert all(problem.remedy for problem in refused.value.problems)


def test_one_document_has_one_key_however_it_was_written() -> None:
    number = resident(1)
    written = [number, number.lower(), f"{number[:6]} {number[6:14]}-{number[14:]}"]
    read = {
        identity.read_document(identity.DocumentForm("resident", number=one), today=TODAY).key
        for one in written
    }
    passport = identity.read_document(
        identity.DocumentForm(
            "passport",
            zone="P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F3204153ZE184226B<<<<<16",
        ),
        today=TODAY,
    )

    assert read == {f"CN/resident/{number}"}
    assert (passport.key, passport.expires) == ("UTO/passport/L898902C3", date(2032, 4, 15))
    assert passport.wanted == ProofLevel.DOCUMENT
