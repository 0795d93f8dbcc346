"""The console: the league as its operator sees it, each figure opening into what it is made of."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery, QueryParameter

from hansa import atlas, clearing, identity, ledger, payments, rides, settlement, trust
from hansa.apps.web.callers import get_operator
from hansa.apps.web.city_maps import CityMap, draw_city
from hansa.apps.web.console_looks import ask_why, desk_of, find_look, keep_look
from hansa.apps.web.journey_views import Places, view_journey
from hansa.apps.web.pages import page
from hansa.apps.web.pictures import BarChart, bar_chart
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, Money
from hansa.store import Tx

Asked = Request[Any, Any, Any]

WINDOWS_ON_PAGE = 60
ITEMS_ON_PAGE = 50
LINES_ON_PAGE = 50
GATES_SHOWN = 200
BLOCKS_SHOWN = 10
SHORT_ID = 24
"""Characters of an id that is shown whole beside a name."""
SPAN = 10
"""Minutes of one bar of the day's charts."""


_NO_DISPUTE = frozenset(
    {
        ledger.TransferCode.CLEARED,
        ledger.TransferCode.FEE,
        ledger.TransferCode.REFUND,
        ledger.TransferCode.CHARGEBACK,
    }
)


class UnknownFile(HansaError):
    """There is no bank file of that name."""

    code = "console.unknown_file"
    status = 404


@dataclass(frozen=True, slots=True)
class CityPanel:
    """A city on the overview."""

    city: atlas.City
    map: CityMap
    flow: rides.CityFlow | None
    lines: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class Live:
    """The moving part of the overview."""

    day: date
    taps: int
    journeys: int
    riders: int
    refusals: int
    incomplete: int
    fares: list[Money]
    tap_chart: BarChart
    refusal_chart: BarChart
    hours: list[tuple[str, int, int]]
    reasons: list[tuple[str, int]]
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Matrix:
    """Who owes whom in one currency: a row for each issuer, a column for each operator, before netting."""

    currency: str
    operators: list[str]
    rows: list[tuple[str, list[clearing.Position | None], Money]]
    columns: list[Money]
    total: Money
    nets: list[clearing.NetPosition]
    net_sum: Money


@dataclass(frozen=True, slots=True)
class LeagueMatrix:
    """The whole day in one table: a row for each issuer, a column for each operator and its currency."""

    columns: list[tuple[str, str]]
    rows: list[tuple[str, list[clearing.Position | None]]]
    sums: list[Money]


@dataclass(frozen=True, slots=True)
class ItemView:
    """A posting of a position, with the journey it is for."""

    item: clearing.Item
    title: str
    when: str

    @property
    def disputable(self) -> bool:
        """Whether a member may dispute it: what corrects or clears other items is not disputed itself."""
        return self.item.code not in _NO_DISPUTE

    @property
    def is_lot(self) -> bool:
        """Whether it stands for payments between the two members."""
        return self.item.code == ledger.TransferCode.PAYMENT and self.item.reference is not None


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account by the words of the console."""

    account_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Booking:
    """A transfer of a journey's charge. place: its block and its position there."""

    transfer_id: UUID
    debit: AccountRef
    credit: AccountRef
    amount: Money
    place: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an account's statement."""

    transfer_id: UUID
    what: str
    other: AccountRef
    journey_id: UUID | None
    booked_at: datetime
    amount: Money
    balance: Money


@get("/console/", sync_to_thread=True, include_in_schema=False)
def show_overview(request: Asked, site: Here, day: FromQuery[date | None] = None) -> Response[str]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        days = clearing.list_days(tx, limit=30)
        today = site.ctx.clock.now().date()
        chosen = day or (days[0].day if days else today)
        flow = rides.flow(tx, chosen)
        live = _live(flow, site.ctx.clock.now())
        by_city = {one.city_id: one for one in flow.cities}
        panels = [_panel(tx, city, by_city.get(city.city_id)) for city in atlas.list_cities(tx)]
    return page(
        "console/overview.html",
        here="overview",
        day=chosen,
        before=chosen - timedelta(days=1),
        after=chosen + timedelta(days=1),
        today=today,
        closed={one.day for one in days},
        live=live,
        panels=panels,
    )


@get("/console/live", sync_to_thread=True, include_in_schema=False)
def show_live(request: Asked, site: Here, day: FromQuery[date]) -> Response[str]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        flow = rides.flow(tx, day)
    return page("console/_live.html", live=_live(flow, site.ctx.clock.now()))


@get("/console/days", sync_to_thread=True, include_in_schema=False)
def show_days(
    request: Asked,
    site: Here,
    model: Annotated[str, QueryParameter(max_length=20, pattern=r"^[a-z0-9]*$")] = "",
    before: FromQuery[int | None] = None,
) -> Response[str]:
    """Windows of all models or of one, and how each model stands."""
    get_operator(request, site)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        windows = clearing.list_windows(
            tx,
            model_id=model or None,
            before_number=before if model and before is not None and 0 < before < 2**31 else None,
            limit=WINDOWS_ON_PAGE + 1,
        )
        standings = clearing.standings(tx, now)
        behind = sum(lag.transfers for lag in clearing.lags(tx) if lag.blocks)
        waiting = sum(one.decision is None for one in clearing.list_model_versions(tx))
    return page(
        "console/days.html",
        here="days",
        windows=windows[:WINDOWS_ON_PAGE],
        more=windows[WINDOWS_ON_PAGE - 1].number if model and len(windows) > WINDOWS_ON_PAGE else None,
        model=model,
        standings=standings,
        waiting=waiting,
        behind=behind,
        now=now,
    )


@get("/console/days/{day:date}", sync_to_thread=True, include_in_schema=False)
def show_day(request: Asked, site: Here, day: FromPath[date]) -> Response[str]:
    get_operator(request, site)
    return _window_page(site, day)


@get("/console/windows/{window_id:str}", sync_to_thread=True, include_in_schema=False)
def show_window(request: Asked, site: Here, window_id: FromPath[str]) -> Response[str]:
    """A window of any model: who owes whom, nets, and its life."""
    get_operator(request, site)
    return _window_page(site, window_id)


@get(
    "/console/days/{day:date}/members/{member_id:str}/{currency:str}",
    sync_to_thread=True,
    include_in_schema=False,
)
def show_net_position(
    request: Asked, site: Here, day: FromPath[date], member_id: FromPath[str], currency: FromPath[str]
) -> Response[str]:
    """What a member's net position is made of: what it owes, what it is owed, and the fees."""
    get_operator(request, site)
    return _net_page(site, day, member_id, currency)


@get(
    "/console/windows/{window_id:str}/members/{member_id:str}/{currency:str}",
    sync_to_thread=True,
    include_in_schema=False,
)
def show_window_net(
    request: Asked, site: Here, window_id: FromPath[str], member_id: FromPath[str], currency: FromPath[str]
) -> Response[str]:
    """The same, of a window of any model."""
    get_operator(request, site)
    return _net_page(site, window_id, member_id, currency)


@get(
    "/console/days/{day:date}/positions/{issuer_id:str}/{operator_id:str}/{currency:str}",
    sync_to_thread=True,
    include_in_schema=False,
)
def show_position(
    request: Asked,
    site: Here,
    day: FromPath[date],
    issuer_id: FromPath[str],
    operator_id: FromPath[str],
    currency: FromPath[str],
    after: Annotated[str, QueryParameter(max_length=80)] = "",
) -> Response[str]:
    """The items of a position, each with the journey it was for."""
    get_operator(request, site)
    return _position_page(site, day, (issuer_id, operator_id, currency), after)


@get(
    "/console/windows/{window_id:str}/positions/{issuer_id:str}/{operator_id:str}/{currency:str}",
    sync_to_thread=True,
    include_in_schema=False,
)
def show_window_position(
    request: Asked,
    site: Here,
    window_id: FromPath[str],
    issuer_id: FromPath[str],
    operator_id: FromPath[str],
    currency: FromPath[str],
    after: Annotated[str, QueryParameter(max_length=80)] = "",
) -> Response[str]:
    """The same, of a window of any model."""
    get_operator(request, site)
    return _position_page(site, window_id, (issuer_id, operator_id, currency), after)


@get("/console/files", sync_to_thread=True, include_in_schema=False)
def show_files(request: Asked, site: Here) -> Response[str]:
    get_operator(request, site)
    return page("console/files.html", here="files", files=bank_files(site))


@get("/console/files/{name:str}", sync_to_thread=True, include_in_schema=False)
def give_file(request: Asked, site: Here, name: FromPath[str]) -> Response[bytes]:
    """A bank file to keep. Only names on the list are served, so none leads out of the folder."""
    get_operator(request, site)
    for file in bank_files(site):
        if file.name == name:
            return Response(
                file.path.read_bytes(),
                media_type="application/xml",
                headers={
                    "content-disposition": f'attachment; filename="{file.name}"',
                    "cache-control": "no-store",
                },
            )
    raise UnknownFile(f"There is no bank file {name!r}.")


@get("/console/ledger", sync_to_thread=True, include_in_schema=False)
def show_ledger(request: Asked, site: Here) -> Response[str]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        trial = ledger.trial_balance(tx)
        blocks = _latest_blocks(tx)
    return page(
        "console/ledger.html", here="ledger", trial=trial, blocks=blocks, currencies=_by_currency(trial.rows)
    )


@get("/console/ledger/accounts/{account_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_account(
    request: Asked,
    site: Here,
    account_id: FromPath[UUID],
    after: Annotated[str, QueryParameter(pattern=r"^([0-9]{1,18}-[0-9]{1,9})?$")] = "",
) -> Response[str]:
    """An account's statement: each line with the account on its other side and the journey it was for.

    A rider's wallet is shown for a reason, which the rider reads; it is asked for where none was given just before.
    """
    desk, now = desk_of(request, site), site.ctx.clock.now()
    block, _, position = after.partition("-")
    with site.ctx.tx() as tx:
        wanted = ledger.AccountId(account_id)
        record = ledger.get_account(tx, wanted)
        names = AccountNames(tx)
        rider, payee = names.rider(record), names.payee(record)
        if rider is not None:
            why = find_look(tx, desk, rider.account_id, now)
            if why is None:
                return ask_why(desk, str(rider.account_id), "a wallet")
            keep_look(
                tx,
                desk,
                rider.account_id,
                "wallet",
                why,
                path=f"/console/ledger/accounts/{account_id}",
                at=now,
            )
        found = ledger.statement(
            tx,
            wanted,
            after=ledger.Place(int(block), int(position)) if after else None,
            limit=LINES_ON_PAGE + 1,
            newest_first=True,
        )
        shown = found[:LINES_ON_PAGE]
        lines = _lines(tx, names, shown)
        balance = ledger.balance(tx, wanted)
        name = names.of(record)
    meaning = ledger.CHART[record.code].meaning
    last = shown[-1].booked.place if len(found) > LINES_ON_PAGE else None
    return page(
        "console/account.html",
        here="ledger",
        record=record,
        name=name,
        meaning=meaning[:1].upper() + meaning[1:],
        balance=balance,
        rider=rider,
        payee=payee,
        lines=lines,
        after=after,
        older=f"{last.block}-{last.position}" if last else "",
    )


@get("/console/gates", sync_to_thread=True, include_in_schema=False)
def show_gates(
    request: Asked,
    site: Here,
    day: FromQuery[date | None] = None,
    city: Annotated[str, QueryParameter(max_length=80)] = "",
) -> Response[str]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        cities = atlas.list_cities(tx)
        chosen = day or _latest_day(tx, site)
        flows = [one for one in rides.flow(tx, chosen).cities if city in ("", one.city_id)]
        places = Places(tx)
        busiest = [
            (places.network(flow.city_id).city.name, places.stop_name(flow.city_id, stop_id), count)
            for flow in flows
            for stop_id, count in flow.stops.items()
        ]
        gates = {one.city_id: 0 for one in cities}
        for record in trust.list_gates(tx):
            gates[record.city_id] = gates.get(record.city_id, 0) + 1
    reasons: Counter[str] = Counter()
    for flow in flows:
        reasons.update(flow.refusals)
    return page(
        "console/gates.html",
        here="gates",
        day=chosen,
        city=city,
        cities=cities,
        gates=gates,
        flows=flows,
        reasons=reasons.most_common(),
        busiest=sorted(busiest, key=lambda one: -one[2])[:GATES_SHOWN],
    )


# -- what the pages are made from -------------------------------------------------------------------------------


FILE_NAME = re.compile(r"(\d{8})(?:-[a-z][a-z0-9]*(?:-\d+)?)?-([A-Z]{3})")
"""The business day and the currency in a bank file's name; between them a window's model and part."""


@dataclass(frozen=True, slots=True)
class FileView:
    """A bank file on the disk."""

    name: str
    path: Path
    kind: str
    currency: str
    bytes: int


def _place(window: clearing.Window) -> str:
    """Where a window's pages are: a business day's under its date."""
    if window.model_id == clearing.DAILY:
        return f"/console/days/{window.business_day}"
    return f"/console/windows/{window.window_id}"


def _window_page(site: Site, when: date | str) -> Response[str]:
    with site.ctx.tx() as tx:
        window = settlement.window_of(tx, when)
        positions = clearing.window_positions(tx, window.window_id)
        matrices = _matrices(positions, clearing.window_nets(tx, window.window_id))
        kinds = _kinds(clearing.window_figures(tx, window.window_id))
        before = clearing.list_windows(tx, model_id=window.model_id, before_number=window.number, limit=1)
        names = member_names(tx)
    return page(
        "console/day.html",
        here="days",
        window=window,
        base=_place(window),
        before=before[0] if before else None,
        before_at=_place(before[0]) if before else "",
        life=_life(window, before[0] if before else None),
        league=_league_matrix(positions, names),
        matrices=matrices,
        kinds=kinds,
        names=names,
        files=[one for one in bank_files(site, window.business_day) if _is_of(one.name, window)],
    )


def _net_page(site: Site, when: date | str, member_id: str, currency: str) -> Response[str]:
    with site.ctx.tx() as tx:
        member = trust.get_member(tx, member_id)
        window = settlement.window_of(tx, when)
        nets = [
            one
            for one in clearing.window_nets(tx, window.window_id)
            if one.member_id == member_id and one.currency == currency
        ]
        positions = [
            one for one in clearing.window_positions(tx, window.window_id) if one.currency == currency
        ]
        names = member_names(tx)
    league = member_id == clearing.LEAGUE
    owes = [] if league else [one for one in positions if one.debtor_id == member_id]
    gets = positions if league else [one for one in positions if one.creditor_id == member_id]
    return page(
        "console/net_position.html",
        here="days",
        window=window,
        base=_place(window),
        member=member,
        currency=currency,
        net=Money(nets[0].net if nets else 0, currency),
        owes=owes,
        gets=gets,
        league=league,
        names=names,
    )


def _position_page(site: Site, when: date | str, wanted: tuple[str, str, str], after: str) -> Response[str]:
    issuer_id, operator_id, currency = wanted
    with site.ctx.tx() as tx:
        window = settlement.window_of(tx, when)
        position = next(
            (
                one
                for one in clearing.window_positions(tx, window.window_id)
                if (one.issuer_id, one.operator_id, one.currency) == wanted
            ),
            None,
        )
        items = clearing.window_items(
            tx, window.window_id, issuer_id, operator_id, currency, after=after, limit=ITEMS_ON_PAGE + 1
        )
        views = _item_views(tx, items[:ITEMS_ON_PAGE])
        names = member_names(tx)
    return page(
        "console/position.html",
        here="days",
        window=window,
        base=_place(window),
        position=position,
        issuer_id=issuer_id,
        operator_id=operator_id,
        currency=currency,
        items=views,
        next_after=items[ITEMS_ON_PAGE - 1].cursor if len(items) > ITEMS_ON_PAGE else "",
        names=names,
    )


@dataclass(frozen=True, slots=True)
class LifeStep:
    """A step of a window's life. at: None while it is to come. what: a few words about it."""

    name: str
    at: datetime | None
    what: str


def _life(window: clearing.Window, before: clearing.Window | None) -> list[LifeStep]:
    """What has become of a window, and what is to come."""
    steps = [
        LifeStep("Cut-off", window.ends_at, "as the calendar has it"),
        LifeStep("Decided", window.decided_at, "what it holds stands from here on"),
        LifeStep("Closed", window.closed_at, "booked into what members are due"),
    ]
    if before is not None:
        steps.append(LifeStep("Opened", before.decided_at, "the window before was decided"))
    for total in window.totals:
        steps.append(LifeStep(f"Settling, {total.currency}", total.settling_at, "banks are told"))
        steps.append(LifeStep(f"Settled, {total.currency}", total.settled_at, "all money has moved"))
    return sorted(steps, key=lambda one: (one.at is None, one.at or window.decided_at))


def _kinds(figures: Sequence[clearing.Figure]) -> list[tuple[str, str, int, Money]]:
    """Items of a window by kind and currency: what they are, how many, and what they come to."""
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    for one in figures:
        items, minor = sums.get((one.currency, one.code), (0, 0))
        sums[one.currency, one.code] = (items + one.items, minor + one.minor)
    return [
        (ledger.TransferCode(code).name.replace("_", " ").capitalize(), unit, items, Money(minor, unit))
        for (unit, code), (items, minor) in sorted(sums.items())
    ]


def _is_of(name: str, window: clearing.Window) -> bool:
    """Whether a bank file is of this window, as its name says: several models may clear a day."""
    stamp = clearing.stamp_of(window.window_id)
    if window.model_id != clearing.DAILY:
        return stamp in name
    return re.search(rf"{stamp}-[a-z]", name) is None


def bank_files(site: Site, day: date | None = None) -> list[FileView]:
    """Bank files on the disk, of one day or all, latest day first."""
    folder = site.home / "files"
    if not folder.is_dir():
        return []
    return [
        FileView(path.name, path, _kind(path.name), _day_and_currency(path.name)[1], path.stat().st_size)
        for path in sorted(folder.glob("*.xml"), key=lambda path: _file_rank(path.name))
        if day is None or day.isoformat() in path.name or f"{day:%Y%m%d}" in path.name
    ]


def _file_rank(name: str) -> tuple[int, str, bool, str]:
    """Latest day first, then by currency; the payments to the bank before its statements on them."""
    day, currency = _day_and_currency(name)
    return (-int(day or 0), currency, name.startswith("camt.053"), name)


def _day_and_currency(name: str) -> tuple[str, str]:
    found = FILE_NAME.search(name)
    return (found[1], found[2]) if found else ("", "")


def _kind(name: str) -> str:
    return "Statement from the bank" if name.startswith("camt.053") else "Payments to the bank"


def _latest_day(tx: Tx, site: Site) -> date:
    days = clearing.list_days(tx, limit=1)
    return days[0].day if days else site.ctx.clock.now().date()


def member_names(tx: Tx) -> dict[str, str]:
    return {member.member_id: member.name for member in trust.list_members(tx)}


def _panel(tx: Tx, city: atlas.City, flow: rides.CityFlow | None) -> CityPanel:
    network = Places(tx).network(city.city_id)
    counts: Mapping[str, int] = flow.lines if flow else {}
    lines = [
        (line.name, line.color, counts.get(line.line_id, 0))
        for line in sorted(network.lines.values(), key=lambda one: -counts.get(one.line_id, 0))
    ]
    return CityPanel(city, draw_city(network, counts, flow.stops if flow else {}), flow, lines)


def _live(flow: rides.Flow, now: datetime) -> Live:
    taps: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    reasons: Counter[str] = Counter()
    fares: dict[str, int] = {}
    for city in flow.cities:
        for slot in city.slots:
            taps[slot.minute // SPAN] += slot.entries + slot.exits + slot.boardings
            refused[slot.minute // SPAN] += slot.refusals
        reasons.update(city.refusals)
        fares[city.fares.currency] = fares.get(city.fares.currency, 0) + city.fares.minor
    busy = [span for span in (taps | refused) if taps[span] or refused[span]]
    first, last = (min(busy), max(busy)) if busy else (5 * 60 // SPAN, 24 * 60 // SPAN)
    first, last = min(first, 5 * 60 // SPAN), max(last, 24 * 60 // SPAN - 1)
    spans = range(first, last + 1)
    hours = [
        (
            f"{hour % 24:02d}:00",
            sum(taps[span] for span in range(hour * 60 // SPAN, (hour + 1) * 60 // SPAN)),
            sum(refused[span] for span in range(hour * 60 // SPAN, (hour + 1) * 60 // SPAN)),
        )
        for hour in range(first * SPAN // 60, last * SPAN // 60 + 1)
    ]
    return Live(
        day=flow.day,
        taps=sum(city.taps for city in flow.cities),
        journeys=sum(city.journeys for city in flow.cities),
        riders=sum(city.riders for city in flow.cities),
        refusals=sum(reasons.values()),
        incomplete=sum(city.incomplete for city in flow.cities),
        fares=[Money(minor, currency) for currency, minor in sorted(fares.items())],
        tap_chart=bar_chart([taps[s] for s in spans], minutes=SPAN, first_minute=first * SPAN, what="taps"),
        refusal_chart=bar_chart(
            [refused[s] for s in spans], minutes=SPAN, first_minute=first * SPAN, what="refusals", height=120
        ),
        hours=hours,
        reasons=reasons.most_common(),
        as_of=now,
    )


def _matrices(positions: Sequence[clearing.Position], nets: Sequence[clearing.NetPosition]) -> list[Matrix]:
    matrices: list[Matrix] = []
    for currency in sorted({one.currency for one in positions} | {one.currency for one in nets}):
        mine = [one for one in positions if one.currency == currency]
        operators = sorted({one.operator_id for one in mine})
        at = {(one.issuer_id, one.operator_id): one for one in mine}
        rows = [
            (
                issuer,
                [at.get((issuer, operator)) for operator in operators],
                Money(sum(one.gross for one in mine if one.issuer_id == issuer), currency),
            )
            for issuer in sorted({one.issuer_id for one in mine})
        ]
        columns = [
            Money(sum(one.gross for one in mine if one.operator_id == operator), currency)
            for operator in operators
        ]
        of_currency = sorted((one for one in nets if one.currency == currency), key=lambda one: -one.net)
        matrices.append(
            Matrix(
                currency=currency,
                operators=operators,
                rows=rows,
                columns=columns,
                total=Money(sum(one.gross for one in mine), currency),
                nets=of_currency,
                net_sum=Money(sum(one.net for one in of_currency), currency),
            )
        )
    return matrices


def _league_matrix(positions: Sequence[clearing.Position], names: Mapping[str, str]) -> LeagueMatrix:
    """Cities by name on both sides, so that rides at home stand on the diagonal."""
    operators = {
        (one.operator_id, one.currency): names.get(one.creditor_id, one.creditor_id) for one in positions
    }
    issuers = {one.issuer_id: names.get(one.debtor_id, one.debtor_id) for one in positions}
    cities = Counter((city, currency) for (_, currency), city in operators.items())
    columns = sorted(operators, key=lambda key: (operators[key], key))
    at = {(one.issuer_id, one.operator_id, one.currency): one for one in positions}
    return LeagueMatrix(
        columns=[
            (
                operators[key]
                if cities[operators[key], key[1]] == 1
                else f"{operators[key]}: {names.get(key[0], key[0])}",
                key[1],
            )
            for key in columns
        ],
        rows=[
            (issuers[issuer], [at.get((issuer, *key)) for key in columns])
            for issuer in sorted(issuers, key=lambda issuer: (issuers[issuer], issuer))
        ],
        sums=[
            Money(sum(one.gross for one in positions if (one.operator_id, one.currency) == key), key[1])
            for key in columns
        ],
    )


def _latest_blocks(tx: Tx) -> list[ledger.Block]:
    """The last blocks of all partitions together, newest first."""
    found = [
        block
        for head in ledger.list_heads(tx)
        for block in ledger.list_blocks(
            tx, head.partition, after=max(0, head.number - BLOCKS_SHOWN), limit=BLOCKS_SHOWN
        )
    ]
    found.sort(key=lambda block: (block.booked_at, block.number), reverse=True)
    return found[:BLOCKS_SHOWN]


def _item_views(tx: Tx, items: Sequence[clearing.Item]) -> list[ItemView]:
    places = Places(tx)
    wanted = [rides.JourneyId(item.reference) for item in items if item.reference is not None]
    records = rides.find_journeys(tx, wanted)
    views: list[ItemView] = []
    for item in items:
        record = records.get(rides.JourneyId(item.reference)) if item.reference else None
        if record is None:
            views.append(ItemView(item, "", f"{item.event_at:%Y-%m-%d %H:%M} UTC"))
        else:
            view = view_journey(places, record)
            views.append(ItemView(item, view.title, view.when))
    return views


def kind_of(account: ledger.Account) -> str:
    """What kind of account it is, in a word."""
    return account.code.name.capitalize()


def short_of(payee_id: str) -> str:
    """A payee's id as it stands beside its name: whole where it is words, else its end."""
    return payee_id if len(payee_id) <= SHORT_ID else f"…{payee_id[-8:]}"


class AccountNames:
    """What the console calls accounts of the ledger, each looked up once for a page."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._members = member_names(tx)
        self._refs: dict[UUID, AccountRef] = {}
        self._payees: dict[str, payments.Payee] = {}

    def ref(self, account_id: ledger.AccountId) -> AccountRef:
        if account_id not in self._refs:
            self._refs[account_id] = AccountRef(account_id, self.of(ledger.get_account(self._tx, account_id)))
        return self._refs[account_id]

    def of(self, account: ledger.Account) -> str:
        kind = kind_of(account)
        rider = self.rider(account)
        if rider is not None:
            return f"{kind} of {identity.masked_name(rider.name)}"
        payee = self.payee(account)
        if payee is not None:
            return f"{kind} {payee.name} ({short_of(payee.payee_id)})"
        return f"{kind} of {' with '.join(self.parties(account))}"

    def parties(self, account: ledger.Account) -> list[str]:
        """Whose it is, by name. A position is held between two members: "hong-kong-card to london-tfl"."""
        return [self._members.get(name, name) for name in account.holder.split(" to ")]

    def payee(self, account: ledger.Account) -> payments.Payee | None:
        """Which shop's it is; None for other accounts."""
        if account.code is not ledger.AccountCode.MERCHANT:
            return None
        if account.holder not in self._payees:
            self._payees |= payments.find_payees(self._tx, [account.holder])
        return self._payees.get(account.holder)

    def rider(self, account: ledger.Account) -> identity.Account | None:
        """Whose wallet it is; None for other accounts."""
        if account.code is not ledger.AccountCode.WALLET:
            return None
        return identity.find_account(self._tx, identity.AccountId(UUID(account.holder)))


def bookings_of(tx: Tx, charges: Sequence[rides.ChargeRecord]) -> list[Booking]:
    names = AccountNames(tx)
    bookings: list[Booking] = []
    for transfer_id in (one for charge in charges for one in charge.transfer_ids):
        booked = ledger.find_transfer(tx, ledger.TransferId(transfer_id))
        if booked is not None:
            bookings.append(
                Booking(
                    transfer_id,
                    names.ref(booked.transfer.debit),
                    names.ref(booked.transfer.credit),
                    Money(booked.transfer.amount, booked.transfer.currency),
                    f"{booked.place.block}, line {booked.place.position}",
                )
            )
    return bookings


def _lines(tx: Tx, names: AccountNames, entries: Sequence[ledger.Entry]) -> list[Line]:
    references = [
        rides.JourneyId(one.booked.transfer.reference) for one in entries if one.booked.transfer.reference
    ]
    journeys = rides.find_journeys(tx, references)
    return [
        Line(
            transfer_id=one.booked.transfer.transfer_id,
            what=what_moved(one.booked.transfer.code),
            other=names.ref(one.booked.transfer.credit if one.is_debit else one.booked.transfer.debit),
            journey_id=one.booked.transfer.reference if one.booked.transfer.reference in journeys else None,
            booked_at=one.booked.booked_at,
            amount=Money(one.credit_minor, one.booked.transfer.currency),
            balance=Money(one.balance.credit_minor, one.booked.transfer.currency),
        )
        for one in entries
    ]


MOVES = {"Top up": "Top-up", "Send": "Money sent"}
"""Nouns for what the ledger names by a verb."""


def what_moved(code: int) -> str:
    """Why money moved, in words."""
    try:
        words = ledger.TransferCode(code).name.replace("_", " ").capitalize()
        return MOVES.get(words, words)
    except ValueError:
        return f"Code {code}"


def _by_currency(rows: Sequence[ledger.TrialRow]) -> dict[str, list[ledger.TrialRow]]:
    found: dict[str, list[ledger.TrialRow]] = {}
    for row in rows:
        found.setdefault(row.currency, []).append(row)
    return found


ROUTES = [
    show_overview,
    show_live,
    show_days,
    show_day,
    show_window,
    show_net_position,
    show_window_net,
    show_position,
    show_window_position,
    show_files,
    give_file,
    show_ledger,
    show_account,
    show_gates,
]
