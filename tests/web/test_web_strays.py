"""Money that found no wallet: seen by treasurers, put into a wallet or given back, once, by two over the threshold."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import payments, wallets
from hansa.apps.bank.people_bank import PeopleBank
from hansa.apps.web import stray_pages
from hansa.kernel import Money
from hansa.wallets import bank_store, finding, top_ups
from hansa.wallets.rails import Entry, EntryKind
from web.little_league import LittleLeague
from web.test_web_staff import Acts, House
from web.test_web_staff import acts as acts
from web.test_web_staff import house as house

Client = TestClient[Any]
STRAYS = "/console/strays"


def strayed(house: House, *entries: Entry) -> None:
    with house.ctx.tx() as tx:
        for one in entries:
            bank_store.add_entry(tx, "simbank", one, "stray")


def form_of(entry: Entry, do: str, **more: str) -> dict[str, str]:
    return {
        "rail_id": "simbank", "entry_id": entry.entry_id, "amount": entry.amount.decimal(),
        "currency": entry.amount.currency, "do": do, "reason": "the slip shows it", **more,
    }  # fmt: skip


def test_money_without_a_wallet_is_put_into_one_or_given_back_once_and_with_a_reason(
    house: House, league: LittleLeague, acts: Acts
) -> None:
    rider, now = league.riders["Gao Lan"].account_id, house.clock.now()
    small, large, dollars, back = (
        Entry(
            number, f"e/{number}", kind, Money(minor, unit), now - timedelta(hours=9 - number), reference=text
        )
        for number, (kind, minor, unit, text) in enumerate(
            (
                (EntryKind.ARRIVAL, 70_00, "CNY", "gao lan <b>"),
                (EntryKind.ARRIVAL, 9_000_00, "CNY", "RF99"),
                (EntryKind.ARRIVAL, 5_00, "HKD", "rent"),
                (EntryKind.RETURN, 5_00, "CNY", ""),
            )
        )
    )
    strayed(house, small, large, dollars, back)
    ada, bo = house.person("ada", "treasurer"), house.person("bo", "treasurer")
    code = wallets.code_text(finding.code_of(house.ctx, rider))

    def holds() -> list[Money]:
        with house.ctx.tx() as tx:
            return payments.balance_of(tx, rider)

    def waiting() -> list[str]:
        with house.ctx.tx() as tx:
            return [one.entry_id for one in wallets.strays.list_strays(tx)]

    # who may not, and what is not so: nothing is decided
    others = [house.person("op", "operator"), house.person("han", "treasurer", member="hangzhou")]
    for one in others:
        assert (
            one.get(STRAYS).status_code
            == one.post(STRAYS, data=form_of(small, "assign", to=code)).status_code
            == 403
        )
    shown = ada.get(STRAYS).text
    assert "gao lan &lt;b&gt;" in shown and "¥70.00" in shown
    refused = [
        ada.post(STRAYS, data=form_of(small, "assign", to="nobody")),
        ada.post(STRAYS, data=form_of(small, "assign", to=code, amount="7")),
        ada.post(STRAYS, data=form_of(large, "assign", to=code, amount="7")),
        ada.post(STRAYS, data=form_of(small, "give_back")),
        ada.post(STRAYS, data=form_of(small, "close")),
        ada.post(STRAYS, data=form_of(back, "assign", to=code)),
        ada.post(STRAYS, data=form_of(dollars, "assign", to=code)),
        ada.post(STRAYS, data=form_of(small, "nothing")),
        ada.post(STRAYS, data=form_of(small, "assign", to=code, entry_id="none")),
    ]
    assert [one.status_code for one in refused] == [404, *[422] * 7, 404]
    assert "Nothing has been done yet" in ada.post(STRAYS, data=form_of(small, "close", reason="")).text
    assert (len(waiting()), holds()) == (4, [Money(100_00, "CNY")])

    # into the wallet, once, and its holder sees it as a transfer
    form = form_of(small, "assign", to=code)
    assert ada.post(STRAYS, data=form).headers["location"] == f"{STRAYS}?done=assigned"
    assert ada.post(STRAYS, data=form).status_code == 404
    assert holds() == [Money(170_00, "CNY")]
    with house.ctx.tx() as tx:
        (top_up,) = top_ups.list_of(tx, rider)
    assert (top_up.state, top_up.way, top_up.amount) == ("settled", "transfer", small.amount)

    # over the threshold by two, whatever becomes of it; what brought no money is closed
    form = form_of(large, "give_back", bank_reference="PACS-4-17")
    waits = ada.post(STRAYS, data=form).headers["location"]
    confirm = form | {"hansa_proposal": waits.rpartition("/")[2]}
    assert ada.post(STRAYS, data=confirm).status_code == 409 and len(waiting()) == 3
    assert bo.post(STRAYS, data=confirm).status_code == 303
    assert ada.post(STRAYS, data=form_of(back, "close")).status_code == 303
    assert waiting() == [dollars.entry_id] and holds() == [Money(170_00, "CNY")]
    told = acts(action="stray")
    for act in (("staff:ada", "stray.assign"), ("staff:bo", "stray.give-back"), ("staff:ada", "stray.close")):
        assert (*act, "the slip shows it") in told
    assert "given back" in ada.get(STRAYS).text


def test_the_bank_is_told_to_return_money_without_a_wallet_by_two_over_the_threshold(
    house: House, league: LittleLeague, acts: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = PeopleBank(clock=house.clock)
    rails: dict[str, PeopleBank] = {}

    def outside(_: object) -> SimpleNamespace:
        return SimpleNamespace(rails=rails)

    monkeypatch.setattr(stray_pages, "outside_of", outside)
    for entry_id, minor, sender in (
        ("small", 70_00, "4242"),
        ("large", 9_000_00, "4242"),
        ("closed", 5_00, "0002"),
    ):
        bank.arrive("rent", Money(minor, "CNY"), entry_id=entry_id, sender=sender)
    wallets.turn(house.ctx, {"simbank": bank})
    with house.ctx.tx() as tx:
        found = {
            one.entry_id: Entry(0, one.entry_id, one.kind, one.amount, one.at)
            for one in wallets.strays.list_strays(tx)
        }
    small, large, closed = found["small"], found["large"], found["closed"]
    ada, bo = house.person("ada", "treasurer"), house.person("bo", "treasurer")

    def turn() -> None:
        house.clock.at += timedelta(minutes=1)
        wallets.turn(house.ctx, {"simbank": bank})

    # a bank that is not connected is told nothing
    refused = ada.post(STRAYS, data=form_of(small, "send_back"))
    assert refused.status_code == 422 and "this bank is not connected now" in refused.text
    rails["simbank"] = bank

    # once, and over the threshold by two
    assert (
        ada.post(STRAYS, data=form_of(small, "send_back")).headers["location"] == f"{STRAYS}?done=sent_back"
    )
    assert ada.post(STRAYS, data=form_of(small, "send_back")).status_code == 404
    form = form_of(large, "send_back")
    confirm = form | {"hansa_proposal": ada.post(STRAYS, data=form).headers["location"].rpartition("/")[2]}
    assert ada.post(STRAYS, data=confirm).status_code == 409 and "On its way back" in bo.get(STRAYS).text
    assert bo.post(STRAYS, data=confirm).status_code == 303
    assert ada.post(STRAYS, data=form_of(closed, "send_back")).status_code == 303
    assert sum(bank.moved().values()) == 0
    turn()
    turn()

    # what is not returned waits again, with the bank's reason
    assert sum(bank.moved().values()) == -9_070_00
    shown = ada.get(STRAYS).text
    assert "the bank did not, or it came back (AC04)" in shown and "On its way back" not in shown
    told = acts(action="stray")
    assert told.count(("staff:ada", "stray.send-back", "the slip shows it")) == 2
    assert ("staff:bo", "stray.send-back", "the slip shows it") in told


def test_a_decision_that_a_kill_cut_off_is_settled_by_the_worker(house: House, league: LittleLeague) -> None:
    rider = league.riders["Gao Lan"]
    entry = Entry(1, "a", EntryKind.ARRIVAL, Money(3_00, "CNY"), house.clock.now())
    strayed(house, entry)
    with house.ctx.tx() as tx:  # the commit of the decision, and no more
        bank_store.decide_stray(tx, "simbank", "a", "assigned")
        top_ups.take_arrival(tx, "simbank", entry, rider, house.clock.now(), house.ctx.directory)

    assert top_ups.finish(house.ctx, lambda _: None) == 1 and top_ups.finish(house.ctx, lambda _: None) == 0

    with house.ctx.tx() as tx:
        assert payments.balance_of(tx, rider.account_id) == [Money(103_00, "CNY")]
