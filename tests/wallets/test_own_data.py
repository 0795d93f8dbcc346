"""A person is given all that is kept of their money, and no token of a rail with it."""

from dataclasses import asdict, replace

import pytest

from hansa.apps.bank.people_bank import PeopleBank
from hansa.kernel import FixedClock, Money, fact_id
from hansa.store import Context
from hansa.wallets import bank_accounts, own_data, requests, top_ups, transfers
from hansa.wallets.bank_model import NewTopUp, Way
from hansa.wallets.model import NewRequest, NewTransfer
from identity.levels import prove_names
from identity.sealed import Keys
from scratch import NOON
from wallets.people import open_people, spread


@pytest.mark.usefixtures("allowed")
def test_a_person_is_given_all_of_it_in_pages(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FixedClock(NOON)
    ctx = spread(replace(ctx, clock=clock))
    people = open_people(ctx, 2)
    me, other = people[0].account_id, people[1].account_id
    monkeypatch.setattr(own_data, "PAGE", 2)
    for number in range(5):
        for sender, receiver in ((me, other), (other, me)):
            new = NewTransfer(
                transfer_id=fact_id(NOON, "send", number, sender),
                sender_id=sender,
                receiver_id=receiver,
                amount=Money(1_00, "CNY"),
            )
            transfers.send(ctx, new)
    requests.ask(
        ctx,
        NewRequest(request_id=fact_id(NOON, "ask"), asker_id=me, payer_id=other, amount=Money(5, "CNY")),
    )
    rail = PeopleBank(clock=clock)
    sealer = Keys().sealer()
    prove_names(ctx, sealer, people[:1])
    bank = bank_accounts.add(ctx, rail, sealer, me, "622200014242", "CNY")
    top_ups.begin(
        ctx,
        rail,
        NewTopUp(
            top_up_id=fact_id(NOON, "in"),
            account_id=me,
            amount=Money(9_00, "CNY"),
            bank_account_id=bank.bank_account_id,
            way=Way.INSTANT,
        ),
    )

    with ctx.tx() as tx:
        home = ctx.directory.partition_of(me)
        given = [
            *own_data.sent(tx, me, home),
            *own_data.received(tx, me, home),
            *own_data.asked(tx, me),
            *own_data.splits(tx, me),
            *own_data.banks(tx, me),
            *own_data.paid_in(tx, me, home),
            *own_data.paid_out(tx, me, home),
            *own_data.rules(tx, me, home),
        ]

    assert len(given) == 5 + 5 + 1 + 0 + 1 + 1
    assert bank.token and all(bank.token not in str(asdict(one)) for one in given)
