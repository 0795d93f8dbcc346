"""The same day over several ledger partitions: a ride's postings stay in one, the league's figures do not change."""

from dataclasses import replace
from pathlib import Path

from clearing.example_day import DAY, OVER, RIDES, charge_of, open_league, rider, set_clock, top_up
from hansa import clearing, ledger, payments, settlement
from hansa.kernel import BUCKETS, Directory
from hansa.settlement import SimulatedBank
from hansa.store import Context


def test_the_worked_example_comes_out_the_same_over_three_partitions(ctx: Context, tmp_path: Path) -> None:
    spread = replace(ctx, directory=Directory(1, tuple(bucket % 3 for bucket in range(BUCKETS))))
    place = {ride.number: spread.directory.partition_of(rider(ride.rider)) for ride in RIDES}
    open_league(spread)
    top_up(spread)
    payments.charge(
        spread,
        [
            replace(
                charge_of(ride),
                payee=clearing.position_account(
                    ride.issuer_id, ride.operator_id, charge_of(ride).amount.currency, place[ride.number]
                ),
            )
            for ride in RIDES
        ],
    )
    set_clock(spread, OVER)

    day = clearing.close_day(spread, DAY)
    for file in settlement.write_files(spread, DAY, tmp_path):
        settlement.read_statement(spread, SimulatedBank().statement_for(file.path.read_bytes(), at=OVER))

    assert len(set(place.values())) > 1 and len(day.watermark) == 3
    with ctx.tx() as tx:
        nets = {(str(one.member_id), one.currency): one.net for one in clearing.net_positions(tx, DAY)}
        [three] = [p for p in clearing.positions(tx, DAY) if (p.issuer_id, p.items) == ("hangzhou-card", 3)]
        listed = clearing.items(tx, DAY, "hangzhou-card", "beijing-subway", "CNY")
        every = [
            item
            for position in clearing.positions(tx, DAY)
            for item in clearing.items(tx, DAY, position.issuer_id, position.operator_id, position.currency)
        ]
        rows = {(row.code, row.currency): row for row in ledger.trial_balance(tx).rows}
        assert set(settlement.progress(tx, DAY).values()) == {settlement.Progress.SETTLED}
        assert ledger.verify(tx) == []
    assert nets["beijing", "CNY"] == 982 and nets["hong-kong", "HKD"] == 3_103
    assert three.gross == 900 == sum(item.amount.minor for item in listed)
    assert len(every) == day.items == 8
    for unit in ("CNY", "HKD"):
        for code in (ledger.AccountCode.POSITION, ledger.AccountCode.DUE, ledger.AccountCode.SETTLEMENT):
            assert rows[code, unit].debits_posted == rows[code, unit].credits_posted


def test_items_of_all_partitions_are_read_page_by_page(ctx: Context) -> None:
    spread = replace(ctx, directory=Directory(1, tuple(bucket % 3 for bucket in range(BUCKETS))))
    open_league(spread)
    charges = [
        replace(
            charge_of(replace(RIDES[0], number=100 + n, rider=100 + n)),
            payee=clearing.position_account(
                "hangzhou-card", "beijing-subway", "CNY", spread.directory.partition_of(rider(100 + n))
            ),
        )
        for n in range(7)
    ]
    payments.charge(spread, charges)
    set_clock(spread, OVER)
    clearing.close_day(spread, DAY)
    pair = ("hangzhou-card", "beijing-subway", "CNY")

    with ctx.tx() as tx:
        whole = clearing.items(tx, DAY, *pair)
        paged: list[clearing.Item] = []
        while page := clearing.items(tx, DAY, *pair, after=paged[-1].cursor if paged else "", limit=2):
            paged += page

    assert paged == whole and {item.reference for item in whole} == {one.reference for one in charges}
