"""Pages about oneself, by plain forms: prove a name, verify a contact, guard a child, agree, look who looked, leave."""

import io
import json
import re
import tomllib
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import approval, cards, identity, ledger, merchants, payments, trust, wallets
from hansa.apps import personal_data
from hansa.apps.personal_means import keep_personal_data
from hansa.apps.web import create_app, languages, me_view
from hansa.kernel import FixedClock, HansaError, Money, new_id
from hansa.store import Context
from web.conftest import HERE, seen_from
from web.little_league import LittleLeague

Client = TestClient[Any]
WEB = Path(languages.__file__).parent


@pytest.fixture
def gao(client: Client, league: LittleLeague) -> Client:
    """Gao Lan of Hangzhou, signed in."""
    return sign_in(client, league, "Gao Lan")


@pytest.fixture
def qian(ctx: Context, home: Path, league: LittleLeague) -> Iterator[Client]:
    """Qian Qing, a child of Hangzhou, signed in in another browser."""
    app = create_app(ctx, home=home, demo=True)
    with TestClient(seen_from(app, "127.0.0.1"), base_url=HERE, raise_server_exceptions=False) as client:
        yield sign_in(client, league, "Qian Qing")


def sign_in(client: Client, league: LittleLeague, name: str) -> Client:
    client.post("/wallet/sign-in", data={"account_id": str(league.riders[name].account_id)})
    return client


def resident(order: int, born: date = date(1990, 3, 7)) -> str:
    digits = f"110101{born:%Y%m%d}{order:03}"
    return digits + identity.resident_check(digits)


def hidden(text: str, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]+)"', text)
    assert found, name
    return found[1]


def prove(client: Client, order: int = 1, *, name: str = "高兰", expires: str = "") -> str:
    form = client.get("/wallet/me/name?kind=resident").text
    answer = client.post(
        "/wallet/me/name",
        data={
            "proofing_id": hidden(form, "proofing_id"),
            "kind": "resident",
            "name": name,
            "number": resident(order),
            "expires": expires,
        },
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def pass_time(ctx: Context, time: timedelta) -> None:
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += time


def test_the_hub_tells_how_well_one_is_known_and_leads_everywhere(gao: Client) -> None:
    page = gao.get("/wallet/me")

    assert page.status_code == 200 and "Not proved" in page.text and "Gao L." in page.text
    for part in ("name", "contacts", "guardians", "consents", "accesses", "data"):
        assert f'href="/wallet/me/{part}"' in page.text
        assert gao.get(f"/wallet/me/{part}").status_code == 200
    assert gao.get("/wallet/me?language=zh").headers["content-language"] == "zh"


def test_nothing_of_it_is_for_a_stranger(client: Client, league: LittleLeague) -> None:
    for path in ("", "/name", "/contacts", "/guardians", "/consents", "/accesses", "/data", "/messages"):
        assert client.get(f"/wallet/me{path}", headers={"accept": "application/json"}).status_code == 401
    for path in ("proof", "consents", "accesses"):
        assert client.get(f"/v1/me/{path}").status_code == 401


def test_a_name_is_proved_and_told_in_part(gao: Client) -> None:
    assert "Proved." in prove(gao)

    proof = gao.get("/v1/me/proof").json()
    assert proof["level"] == "name" and proof["good_until"] and not proof["waits"]
    assert {
        "level": "name",
        "currency": "CNY",
        "balance_minor": 5_000_000,
        "year_minor": 10_000_000,
    } in proof["caps"]
    page = gao.get("/wallet/me/name").text
    assert resident(1) not in page and "高兰" in page
    assert "*兰" in gao.get("/wallet/me").text


def test_a_number_that_was_mistyped_is_marked_with_what_to_do(gao: Client) -> None:
    form = gao.get("/wallet/me/name?kind=resident").text
    answer = gao.post(
        "/wallet/me/name",
        data={
            "proofing_id": hidden(form, "proofing_id"),
            "kind": "resident",
            "name": "高兰",
            "number": "110101199003070012",
        },
    )

    assert answer.status_code == 422
    assert 'aria-invalid="true" aria-describedby="fault-number' in answer.text
    assert "110101199003070012" in answer.text and "One character was mistyped" in answer.text
    assert gao.get("/v1/me/proof").json()["level"] == "none"


def test_a_provider_that_is_down_is_told_and_asked_again(
    gao: Client, ctx: Context, home: Path, league: LittleLeague
) -> None:
    assert "No answer yet" in prove(gao, 993)
    assert gao.get("/v1/me/proof").json()["waits"]
    turn = keep_personal_data(ctx, home, demo=True, every_s=0)

    for _ in range(3):
        pass_time(ctx, timedelta(minutes=20))
        turn()

    assert gao.get("/v1/me/proof").json()["level"] == "name"


def test_a_contact_is_verified_by_the_code_that_the_inbox_shows(gao: Client, qian: Client) -> None:
    def add(client: Client) -> str:
        client.post("/wallet/me/contacts", data={"kind": "phone", "value": "138 0013 8000"})
        text = client.get("/wallet/me/messages").text
        code = re.search(r"(\d{6}) is your code", text)
        assert code
        return code[1]

    page = gao.post("/wallet/me/contacts", data={"kind": "phone", "value": "12"})
    assert page.status_code == 422 and 'id="fault-value"' in page.text
    code = add(gao)
    page = gao.get("/wallet/me/contacts").text
    contact_id = re.search(r"contacts/([0-9a-f-]{36})/remove", page)
    assert contact_id and "waits for its code" in page and "+86 138 0013 8000" in page
    wrong = gao.post(f"/wallet/me/contacts/{contact_id[1]}/verify", data={"code": "x"})
    assert wrong.status_code == 422 and "not the code" in wrong.text
    done = gao.post(f"/wallet/me/contacts/{contact_id[1]}/verify", data={"code": f"{code[:3]} {code[3:]}"})
    assert "is verified" in done.text and gao.get("/v1/me/proof").json()["level"] == "contact"

    # The number is given out again: its new holder has it, the old one is told, and keeps the account.
    gao.post("/wallet/me/contacts", data={"kind": "email", "value": "gao@example.com"})
    mail = re.search(r"(\d{6}) is your code", gao.get("/wallet/me/messages").text)
    ids = re.findall(r"contacts/([0-9a-f-]{36})/remove", gao.get("/wallet/me/contacts").text)
    other = next(one for one in ids if one != contact_id[1])
    assert mail
    gao.post(f"/wallet/me/contacts/{other}/verify", data={"code": mail[1]})
    code = add(qian)
    taken = re.search(r"contacts/([0-9a-f-]{36})/remove", qian.get("/wallet/me/contacts").text)
    assert taken
    qian.post(f"/wallet/me/contacts/{taken[1]}/verify", data={"code": code})
    assert "reaches somebody else since" in gao.get("/wallet/me/contacts").text
    assert "+86 ••• 8000 now reaches somebody else" in gao.get("/wallet/me/messages").text
    assert gao.get("/v1/me/proof").json()["level"] == "contact"


def test_a_guardian_accepts_a_child_and_the_child_reads_that_they_looked(
    gao: Client, qian: Client, league: LittleLeague
) -> None:
    prove(gao)
    qian.post("/wallet/me/birth", data={"born": "2017-06-01"})
    assert "needs a guardian" in qian.get("/wallet/me").text
    invited = qian.post("/wallet/me/guardians/invite", data={"journeys": ""})
    code = re.search(r'invitation mono">([A-Z0-9-]+)<', invited.text)
    assert code

    assert gao.post("/wallet/me/guardians/look", data={"code": "NOTTH-ECODE"}).status_code == 409
    offered = gao.post("/wallet/me/guardians/look", data={"code": code[1].lower()})
    assert "Be the guardian of Qian Q.?" in offered.text and "see where the ward rides" not in offered.text
    done = gao.post("/wallet/me/guardians/accept", data={"code": code[1]})

    assert "You are a guardian now" in done.text and "Qian Q." in done.text
    assert "needs a guardian" not in qian.get("/wallet/me").text
    ward = f"/wallet/me/wards/{league.riders['Qian Qing'].account_id}"
    assert "¥100.00" in gao.get(ward).text and "not let you see where they ride" in gao.get(ward).text
    assert qian.get(ward).status_code == 404
    agree = {"given": "true", "text_version": "1"}
    refused = qian.post("/wallet/me/consents/insight", data=agree)
    assert refused.status_code == 403 and "your guardian agrees for you" in refused.text
    assert gao.post(f"{ward}/consents/insight", data=agree).text.count("Take it back") == 1
    assert "not agreed" in qian.get("/wallet/me/consents").text
    given = [one["purpose"] for one in qian.get("/v1/me/consents").json()["consents"] if one["given"]]
    assert given == ["insight"] and qian.post(f"{ward}/consents/insight", data=agree).status_code == 404
    seen = qian.get("/wallet/me/accesses").text
    assert "Gao L., who answers for you" in seen and "what your wallet holds and paid" in seen
    last = re.search(r"guardians/([0-9a-f-]{36})/end", qian.get("/wallet/me/guardians").text)
    assert last
    assert qian.post(f"/wallet/me/guardians/{last[1]}/end").status_code == 409


def test_a_guardian_sets_limits_and_stops_a_wards_payments(
    gao: Client, qian: Client, ctx: Context, league: LittleLeague
) -> None:
    prove(gao)
    qian.post("/wallet/me/birth", data={"born": "2017-06-01"})
    invited = qian.post("/wallet/me/guardians/invite", data={"journeys": ""})
    code = re.search(r'invitation mono">([A-Z0-9-]+)<', invited.text)
    assert code
    child = str(league.riders["Qian Qing"].account_id)
    ward = f"/wallet/me/wards/{child}"
    limit = {"currency": "CNY", "span": "day", "amount": "50"}
    assert gao.post(f"{ward}/limits", data=limit).status_code == 404
    assert gao.post(f"{ward}/freeze").status_code == gao.post(f"{ward}/unfreeze").status_code == 404
    assert gao.post("/v1/freeze", json={"account_id": child}).status_code == 404
    gao.post("/wallet/me/guardians/accept", data={"code": code[1]})

    assert "a day · everything" in gao.post(f"{ward}/limits", data=limit).text
    own = qian.post("/wallet/limits", data=limit | {"amount": "60"})
    assert own.status_code == 409 and "Your guardian raises your limits" in own.text
    assert "Only your guardians raise a limit" in own.text
    assert "An amount cannot be read" not in gao.post(f"{ward}/limits", data=limit | {"amount": "40"}).text
    raised = gao.put("/v1/limits", json=_limit(70_00) | {"account_id": child})
    assert (raised.json()["minor"], raised.json()["next_minor"]) == (40_00, 70_00)
    assert qian.put("/v1/limits", json=_limit(80_00)).json()["code"] == "approval.guardian_raises"
    assert qian.put("/v1/limits", json=_limit(80_00) | {"account_id": child}).status_code == 409
    seen = gao.get("/v1/limits", params={"currency": "CNY", "account_id": child}).json()
    assert seen["currencies"][0]["limits"][0]["minor"] == 40_00

    assert "Their wallet is frozen" in gao.post(f"{ward}/freeze").text
    assert "only a guardian lifts that" in qian.get("/wallet/limits").text
    assert "by your guardian" in qian.get("/wallet/limits").text
    refused = qian.post("/wallet/limits/unfreeze")
    assert refused.status_code == 409 and "only a guardian lifts that" in refused.text
    assert qian.post("/v1/unfreeze", json={}).json()["code"] == "approval.frozen_by_guardian"
    pass_time(ctx, timedelta(minutes=6))
    again = gao.post(f"{ward}/unfreeze", follow_redirects=False).headers["location"]
    assert again.startswith("/wallet/verify?next=")
    sign_in(gao, league, "Gao Lan")
    assert "Their wallet pays again" in gao.post(f"{ward}/unfreeze").text
    assert gao.post("/v1/freeze", json={"account_id": child}).json()["frozen_by"] == "guardian"
    assert gao.post("/v1/unfreeze", json={"account_id": child}).json()["frozen_at"] is None
    assert (
        qian.post("/v1/freeze", json={"account_id": str(league.riders["Gao Lan"].account_id)}).status_code
        == 404
    )


def _limit(minor: int) -> dict[str, Any]:
    return {"currency": "CNY", "span": "day", "minor": minor}


def test_consents_are_given_and_taken_back_by_page_and_program(gao: Client) -> None:
    page = gao.post("/wallet/me/consents/insight", data={"given": "true", "text_version": "1"})
    assert "You agreed." in page.text
    listed = {one["purpose"]: one for one in gao.get("/v1/me/consents?language=fr").json()["consents"]}
    assert listed["insight"]["given"] and not listed["offers"]["given"]
    assert listed["insight"]["text"].startswith("Compter mes trajets")

    taken = gao.put("/v1/me/consents/insight", json={"given": False, "text_version": 1})
    assert taken.status_code == 200 and not taken.json()["given"]
    old = gao.put("/v1/me/consents/insight", json={"given": True, "text_version": 7})
    assert (old.status_code, old.json()["code"]) == (409, "identity.text_changed")
    none = gao.put("/v1/me/consents/nonsense", json={"given": True, "text_version": 1})
    assert (none.status_code, none.json()["code"]) == (404, "identity.unknown_purpose")
    assert gao.get("/wallet/me/consents").text.count("taken back") == 1


def test_all_that_is_kept_is_given_out_whole(gao: Client, ctx: Context, league: LittleLeague) -> None:
    prove(gao)
    answer = gao.post("/wallet/me/data/export")

    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        names = {one.removesuffix(".json") for one in file.namelist()}
        assert {part.name for part in personal_data.PARTS} | {"about", "index.html", "look.css"} == names
        assert len(file.namelist()) == len(names)
        (proof,) = json.loads(file.read("proofs.json"))
        assert (proof["name"], proof["number"]) == ("高兰", resident(1))
        (movement,) = json.loads(file.read("movements.json"))
        assert movement["amount"] == {"minor": 100_00, "currency": "CNY"}
        page = file.read("index.html").decode()
    assert "¥100.00" in page and resident(1) in page and "Your journeys" in page
    for _ in range(4):
        gao.post("/wallet/me/data/export")
    assert gao.post("/wallet/me/data/export").status_code == 429


def test_what_stands_in_the_way_of_going_is_told_with_the_remedy(
    gao: Client, ctx: Context, league: LittleLeague
) -> None:
    page = gao.get("/wallet/me/data").text
    assert "Your wallet holds ¥100.00." in page and "Withdraw it or spend it first." in page
    assert "I want my account deleted" not in page

    account = league.riders["Gao Lan"].account_id
    with pytest.raises(identity.DeletionBlocked) as refused:
        personal_data.ask_deletion(ctx, account, new_id())

    assert [one.where for one in refused.value.problems] == ["money"]
    with ctx.tx() as tx:
        assert identity.find_deletion(tx, account) is None


def spend_all(ctx: Context, account: identity.Account) -> None:
    """Its wallet pays all it holds back to the cash of its issuer."""
    with ctx.tx() as tx:
        held = payments.balance_of(tx, account.account_id)
    transfers = [
        ledger.Transfer(
            ledger.TransferId(account.account_id),
            payments.wallet_id(account.account_id, one.currency),
            payments.cash_account(account.issuer_id, one.currency),
            one.minor,
            one.currency,
            ledger.TransferCode.WITHDRAWAL,
            ctx.clock.now(),
        )
        for one in held
    ]
    assert [one.code for one in ledger.post(ctx, transfers)] == [ledger.ResultCode.CREATED]


def go(client: Client) -> str:
    """Ask for a deletion, by the form."""
    form = client.get("/wallet/me/data").text
    data = {"deletion_id": hidden(form, "deletion_id"), "sure": "yes"}
    return client.post("/wallet/me/data/delete", data=data).text


def test_who_goes_is_erased_and_the_books_stay_whole(
    gao: Client, ctx: Context, home: Path, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]
    prove(gao)
    spend_all(ctx, account)
    form = gao.get("/wallet/me/data").text
    deletion_id = hidden(form, "deletion_id")
    assert "Nothing was done" in gao.post("/wallet/me/data/delete", data={"deletion_id": deletion_id}).text
    assert "Your wish is kept" in go(gao) and "will be deleted" in gao.get("/wallet/me").text
    assert "Your account stays" in gao.post("/wallet/me/data/keep").text
    go(gao)
    with ctx.tx() as tx:
        before = ledger.trial_balance(tx), ledger.verify(tx), ledger.list_heads(tx)
    turn = keep_personal_data(ctx, home, demo=True, every_s=0)

    pass_time(ctx, identity.COOLING - timedelta(minutes=1))
    turn()
    with ctx.tx() as tx:
        assert identity.get_account(tx, account.account_id).name == "Gao Lan"
    pass_time(ctx, timedelta(minutes=2))
    turn()

    with ctx.tx() as tx:
        gone = identity.get_account(tx, account.account_id)
        assert gone.name == "Deleted account" and identity.is_closed(tx, account.account_id)
        assert identity.person_of(tx, account.account_id) is None
        found = identity.find_deletion(tx, account.account_id)
        assert found is not None and found.state == "erased"
        for table in ("data_keys", "sessions", "contacts", "births", "accesses", "security_events"):
            rows = tx.execute(
                f"select count(*) from identity.{table} where account_id = %s", (account.account_id,)
            )  # pyright: ignore
            assert rows.fetchone() == (0,), table
        kept = tx.execute(
            "select question, evidence from identity.proofings where account_id = %s", (account.account_id,)
        )
        assert kept.fetchall() == [(None, None)]
        assert (ledger.trial_balance(tx), ledger.verify(tx), ledger.list_heads(tx)) == before
        assert before[0].is_even and before[1] == []
        assert payments.movements(tx, account.account_id)
    assert gao.get("/wallet/me", headers={"accept": "application/json"}).status_code == 401


def test_whoever_goes_leaves_no_dealings_behind_and_no_shop_without_an_owner(
    gao: Client, ctx: Context, home: Path, league: LittleLeague
) -> None:
    me, emily, qian = (league.riders[name] for name in ("Gao Lan", "Emily Tremblay", "Qian Qing"))
    spend_all(ctx, me)
    now, shop = ctx.clock.now(), new_id()
    ask_emily, ask_me = (
        wallets.NewRequest(
            request_id=new_id(),
            asker_id=one.account_id,
            payer_id=other.account_id,
            amount=Money(10_00, "CNY"),
        )
        for one, other in ((me, emily), (qian, me))
    )
    lent = [_lend(ctx, me, emily), _lend(ctx, emily, me)]
    mandate, _ = approval.ask_mandate(
        ctx,
        approval.NewMandate(
            mandate_id=new_id(),
            account_id=me.account_id,
            payee_key="merchant:tea",
            payee_name="Tea house",
            member_id="hangzhou-card",
            currency="CNY",
            each_minor=10_00,
            period="month",
            period_minor=20_00,
            ends_at=now + timedelta(days=90),
        ),
    )
    approval.name_co_approver(ctx, emily.account_id, me.account_id)
    approval.name_co_approver(ctx, me.account_id, qian.account_id)
    for one in (ask_emily, ask_me):
        wallets.requests.ask(ctx, one)
    gao.get("/wallet/cards")
    with ctx.tx() as tx:
        merchants.apply(
            tx,
            shop,
            account_id=me.account_id,
            member_id="hangzhou-card",
            name="Tea House",
            category="5812",
            address="West Lake 1",
            at=now,
        )
    assert "You are the only owner of the shop Tea House." in gao.get("/wallet/me/data").text
    with ctx.tx() as tx:
        secret = merchants.invite(tx, shop, by=me.account_id, role="owner", at=now)
        merchants.join(tx, secret, emily.account_id, now)
    with zipfile.ZipFile(io.BytesIO(gao.post("/wallet/me/data/export").content)) as file:
        kept = {
            one: json.loads(file.read(f"{one}.json")) for one in ("shops", "second_people", "delegations")
        }
    assert kept["shops"][0]["name"] == "Tea House"
    assert [len(kept["second_people"]), len(kept["delegations"])] == [2, 2]

    go(gao)
    pass_time(ctx, identity.COOLING)
    keep_personal_data(ctx, home, demo=True, every_s=0)()

    with ctx.tx() as tx:
        assert identity.is_closed(tx, me.account_id)
        for one, owner in zip(lent, (me, emily), strict=True):
            found = {each.delegation_id: each for each in approval.list_delegations(tx, 0, owner.account_id)}
            assert found[one.delegation_id].state(now) == "revoked"
        assert approval.find_mandates(tx, payer=me.account_id)[0].revoked_by == "payer"
        assert approval.list_co_approvers(tx, 0, emily.account_id) == []
        assert approval.list_co_approvers(tx, 0, me.account_id) == []
        kinds = [one.kind for one in approval.list_changes(tx, 0, emily.account_id)]
        assert {"co_approver_removed", "delegation_revoked"} <= set(kinds)
        assert wallets.requests.get(tx, emily.account_id, ask_emily.request_id).state.value == "canceled"
        assert wallets.requests.get(tx, qian.account_id, ask_me.request_id).state.value == "declined"
        assert {one.state for one in cards.list_own(tx, me.account_id)} == {"ended"}
        assert [one.account_id for one in merchants.list_people(tx, shop)] == [emily.account_id]
    assert mandate.revoked_at is None


def _lend(ctx: Context, owner: identity.Account, delegate: identity.Account) -> approval.Delegation:
    new = approval.NewDelegation(
        delegation_id=new_id(),
        delegate_id=delegate.account_id,
        kind="other",
        currency="CNY",
        payment_minor=10_00,
        day_minor=10_00,
        month_minor=10_00,
        ends_at=ctx.clock.now() + timedelta(days=90),
    )
    return approval.grant_delegation(ctx, owner.account_id, new)


def test_money_that_came_in_the_meantime_stops_a_deletion_and_its_person_reads_why(
    gao: Client, ctx: Context, home: Path, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]
    spend_all(ctx, account)
    go(gao)
    issuer, amount = trust.MemberId(account.issuer_id), Money(5_00, "CNY")
    top_up = payments.TopUp(new_id(), account.account_id, issuer, amount, ctx.clock.now())
    payments.top_up(ctx, [top_up])
    pass_time(ctx, identity.COOLING + timedelta(minutes=1))

    keep_personal_data(ctx, home, demo=True, every_s=0)()

    with ctx.tx() as tx:
        found = identity.find_deletion(tx, account.account_id)
        assert found is not None and (found.state, found.obstacles) == ("asked", ["money"])
        assert identity.get_account(tx, account.account_id) == account


@pytest.mark.parametrize("language", ["zh", "fr"])
def test_what_pages_say_by_data_is_in_every_language(language: str) -> None:
    catalogue = {
        name: text
        for file in (WEB / "words" / language).glob("*.toml")
        for name, text in tomllib.loads(file.read_text(encoding="utf-8")).items()
    }
    errors = [one for one in vars(identity).values() if isinstance(one, type) and issubclass(one, HansaError)]
    said = {
        *me_view.LEVEL_NAMES.values(),
        *identity.PARTS_READ.values(),
        *identity.RIGHTS.values(),
        *identity.REFUSED_FOR.values(),
        *(part.title for part in personal_data.PARTS),
        *(text for words in personal_data.OBSTACLE_WORDS.values() for text in words[:2]),
        *(str(vars(one)["user_message"]) for one in errors if "user_message" in vars(one)),
    }

    assert sorted(said - catalogue.keys()) == []


def test_whoever_reads_a_persons_data_elsewhere_is_told_to_them(
    ctx: Context, gao: Client, stranger: Client, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"].account_id
    with ctx.tx() as tx:
        key = trust.create_api_key(tx, "hangzhou-card", ["payments:read"], at=ctx.clock.now())
        other = trust.create_api_key(tx, "toronto-card", ["payments:read"], at=ctx.clock.now())
    for secret, status in ((key, 200), (key, 200), (other, 404)):
        asked = stranger.get(f"/v1/wallets/{account}", headers={"authorization": f"Bearer {secret}"})
        assert asked.status_code == status
    gao.get(f"/v1/wallets/{account}")
    with TestClient(gao.app, base_url=HERE, raise_server_exceptions=False) as operator:
        assert operator.get(f"/console/riders/{account}").status_code == 200

    read = gao.get("/v1/me/accesses").json()
    told = sorted((one["part"], one["times"]) for one in read["accesses"])
    assert told == [("everything", 1), ("wallet", 2)]
    page = gao.get("/wallet/me/accesses").text
    assert "Hangzhou Card" in page and "who runs the league" in page and "2 times" in page
    assert "toronto" not in page
    first = gao.get("/v1/me/accesses?limit=1").json()
    second = gao.get("/v1/me/accesses", params={"limit": 1, "after": first["next"]}).json()
    assert first["accesses"] + second["accesses"] == read["accesses"] and second["next"] is None
    assert gao.get("/v1/me/accesses?after=tomorrow").json()["code"] == "hansa.invalid_input"


def test_whatever_an_issuers_program_reads_of_a_person_is_told_to_them(
    ctx: Context, gao: Client, stranger: Client, league: LittleLeague
) -> None:
    account = str(league.riders["Gao Lan"].account_id)
    scopes = ["payments:read", "cards:read"]
    with ctx.tx() as tx:
        key = trust.create_api_key(tx, "hangzhou-card", scopes, at=ctx.clock.now())
    headers = {"authorization": f"Bearer {key}"}
    gao.get("/wallet/cards")
    wanted = {
        f"/v1/wallets/{account}": "wallet",
        f"/v1/wallets/{account}/movements": "wallet",
        f"/v1/wallets/{account}/holds": "wallet",
        f"/v1/wallets/{account}/transfers": "wallet",
        f"/v1/wallets/{account}/withdrawals": "wallet",
        f"/v1/wallets/{account}/top-ups": "wallet",
        f"/v1/quotes?account_id={account}": "wallet",
        f"/v1/passes?account={account}": "wallet",
        "/v1/cards": "profile",
    }
    for address, part in wanted.items():
        assert stranger.get(address, headers=headers).status_code == 200, address
        pass_time(ctx, timedelta(hours=1))
        latest = gao.get("/v1/me/accesses?limit=1").json()["accesses"][0]
        assert (latest["part"], latest["times"]) == (part, 1), address

    assert len(gao.get("/v1/me/accesses").json()["accesses"]) == len(wanted)
