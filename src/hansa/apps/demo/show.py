"""What a person sees of the demonstration in the terminal: bars while it runs, a page when it is over."""

import sys
from collections.abc import Mapping
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hansa.apps.demo.agreeing import Agreed
from hansa.apps.demo.attacks import KINDS
from hansa.apps.demo.cast import PIN
from hansa.apps.demo.disputing import Told
from hansa.apps.demo.paying import Paid
from hansa.apps.demo.run import Fraud, Summary, is_of_rides
from hansa.apps.demo.spec import league_facts
from hansa.apps.demo.spent import Spent
from hansa.apps.demo.tariffs import NewTariff
from hansa.kernel import Money

_REASONS = {
    "replay": "replayed: this code was used before",
    "clock_skew": "the phone's clock is wrong",
    "revoked": "the phone was reported lost",
    "bad_token_signature": "forged: not signed by its issuer",
    "untrusted_issuer": "forged: an issuer nobody knows",
    "token_expired": "an old token",
    "wrong_place": "a code made elsewhere",
    "bad_code_signature": "another phone's token, or altered",
    "malformed": "not a ride code",
    "not_canonical": "rewritten code",
    "high_s": "rewritten signature",
    "wrong_header": "altered header",
    "wrong_length": "altered length",
}


class Bars:
    """Progress bars, one line a stage, with what was done and its rate."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:<38}"),
            BarColumn(bar_width=28, complete_style="cyan", finished_style="dark_cyan"),
            TextColumn("{task.fields[count]:>9} {task.fields[unit]:<14}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[rate]}"),
            console=console,
        )
        self.tasks: dict[str, TaskID] = {}

    def begin(self, stage: str, title: str, total: int | None, unit: str) -> None:
        self.tasks[stage] = self.progress.add_task(title, total=total, unit=unit, count="", rate="")

    def advance(self, stage: str, done: int, total: int | None = None) -> None:
        self.progress.update(self.tasks[stage], completed=done, total=total, count=f"{done:,}")

    def end(self, stage: str, done: int, seconds: float) -> None:
        rate = f"{done / seconds:>8,.0f}/s" if seconds > 0.2 and done > 50 else ""
        self.progress.update(self.tasks[stage], completed=1, total=1, count=f"{done:,}", rate=rate)


def closing_page(
    console: Console, summary: Summary, home: Path, address: str | None = None, desk: str | None = None
) -> None:
    """The day on one page, and where to look next.

    address: where the pages are about to be served, if they are. desk: where those of the console are, if elsewhere.
    """
    console.print()
    console.rule(f"[bold]The league's day · {summary.spec.day:%A %d %B %Y}[/bold]", style="cyan")
    console.print()
    for table in (
        _fares(summary),
        _refusals(summary),
        _matrix(summary),
        _nets(summary),
        _windows(summary),
        _stages(summary),
    ):
        title, table.title = table.title, None
        console.print(title, style="bold", highlight=False)
        console.print(table)
        console.print()
    if summary.fraud is not None:
        console.print("Fraud that was planted, and what the rules made of it", style="bold", highlight=False)
        console.print(_fraud(summary.fraud))
        console.print()
    console.print(_checks(summary))
    if summary.disputed is not None:
        console.print(_disputes(summary.disputed), highlight=False)
    if summary.tariff is not None:
        console.print(_tariff(summary.tariff), highlight=False)
    if summary.agreed is not None:
        console.print(_agreed(summary.agreed), highlight=False)
    if summary.paid is not None:
        console.print(_paid(summary.paid), highlight=False)
    if summary.spent is not None:
        console.print(_spent(summary.spent), highlight=False, soft_wrap=True)
    if summary.files:
        lines = [
            f"  {file.path}   {_money(file.control_sum, file.currency)}, {file.transactions} payments"
            for file in summary.files
        ]
        console.print(
            Panel(
                "\n".join(lines),
                title="Bank files (ISO 20022 pain.001, and camt.053 back)",
                title_align="left",
                border_style="dim",
            )
        )
    console.print()
    console.print("Where to look", style="bold", highlight=False)
    console.print(_places(summary, home, address, desk), highlight=False)
    console.print(
        f"[dim]All data of this demonstration: {home.resolve()}[/dim]", highlight=False, soft_wrap=True
    )


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = Table(title=title, header_style="dim", border_style="bright_black", box=SIMPLE_HEAD)
    for name, justify in columns:
        table.add_column(name, justify="right" if justify == ">" else "left", no_wrap=True)
    return table


def _fares(summary: Summary) -> Table:
    table = _table(
        "Fares by city",
        ("city", "<"),
        ("journeys", ">"),
        ("incomplete", ">"),
        ("priced again", ">"),
        ("fares", ">"),
        ("average", ">"),
    )
    for fare in summary.fares:
        table.add_row(
            _city(fare.city_id),
            f"{fare.journeys:,}",
            f"{fare.incomplete:,}",
            f"{fare.corrections:,}",
            _money(fare.charged_minor, fare.currency),
            _money(fare.charged_minor // fare.journeys, fare.currency) if fare.journeys else "",
        )
    table.add_section()
    table.add_row(
        "league",
        f"{sum(f.journeys for f in summary.fares):,}",
        f"{sum(f.incomplete for f in summary.fares):,}",
        f"{sum(f.corrections for f in summary.fares):,}",
    )
    if summary.carried:
        carried = ", ".join(_money(minor, currency) for currency, minor in summary.carried.items())
        table.caption = f"Carried by issuers for riders whose wallet was empty: {carried}"
        table.caption_justify = "left"
    return table


def _refusals(summary: Summary) -> Table:
    accepted = sum(summary.taps.values())
    table = _table(
        f"At the gates: {summary.shown:,} codes shown, {accepted:,} accepted, "
        f"{sum(summary.refusals.values()):,} refused ({summary.verify_us:,.0f} µs a decision)",
        ("refused because", "<"),
        ("", "<"),
        ("codes", ">"),
    )
    for reason, number in summary.refusals.items():
        table.add_row(reason, _REASONS.get(reason, ""), f"{number:,}")
    return table


def _matrix(summary: Summary) -> Table:
    away = sum(p.items for p in summary.positions if p.debtor_id != p.creditor_id and is_of_rides(p))
    table = _table(
        f"What cities owe each other before netting; {away:,} of the charges are for rides away from home",
        ("riders of", "<"),
        *((f"in {_city(fare.city_id)}", ">") for fare in summary.fares),
    )
    for issuer in league_facts().cities:
        owed = [
            sum(
                p.gross
                for p in summary.positions
                if p.issuer_id == issuer.issuer_id and p.operator_id == fare.operator_id
            )
            for fare in summary.fares
        ]
        cells = [
            Text(_money(minor, fare.currency), style="dim" if issuer.city_id == fare.city_id else "")
            for minor, fare in zip(owed, summary.fares, strict=True)
        ]
        table.add_row(_city(issuer.city_id), *cells)
    return table


def _nets(summary: Summary) -> Table:
    currencies = sorted({net.currency for net in summary.nets})
    table = _table(
        "Net positions after fees: what each city receives (+) or pays (−)",
        ("member", "<"),
        *((currency, ">") for currency in currencies),
    )
    members = sorted({net.member_id for net in summary.nets}, key=lambda member: (member == "league", member))
    for member in members:
        cells: list[Text | str] = []
        for currency in currencies:
            minor = sum(n.net for n in summary.nets if n.member_id == member and n.currency == currency)
            style = "green" if minor > 0 else "red" if minor < 0 else "dim"
            cells.append(Text(("+" if minor > 0 else "") + _money(minor, currency), style=style))
        table.add_row(_city(member), *cells)
    table.add_section()
    table.add_row(
        "sum",
        *(_money(sum(n.net for n in summary.nets if n.currency == c), c) for c in currencies),
        style="dim",
    )
    return table


def _windows(summary: Summary) -> Table:
    table = _table(
        "Windows that were closed, and what the bank moved",
        ("window", "<"),
        ("ended", "<"),
        ("items", ">"),
        ("to be paid", "<"),
        ("", "<"),
    )
    for window in sorted(summary.windows, key=lambda one: (one.ends_at, one.window_id)):
        table.add_row(
            window.window_id,
            f"{window.ends_at:%-d %b, %H:%M} UTC",
            f"{window.items:,}",
            "  ".join(str(total.to_pay) for total in window.totals),
            window.status.value,
        )
    table.caption = (
        "daily is the league's business day; twice clears fares between Hong Kong and Beijing, twice a day"
    )
    table.caption_justify = "left"
    return table


def _fraud(fraud: Fraud) -> Table:
    table = _table("", ("attack", "<"), ("planted", ">"), ("found", ">"))
    table.title = None
    for kind, words in KINDS.items():
        table.add_row(words, f"{fraud.planted[kind]:,}", f"{fraud.found[kind]:,}")
    table.add_section()
    table.add_row(
        "together", f"{sum(fraud.planted.values()):,}", f"{sum(fraud.found.values()):,}", style="dim"
    )
    rate = fraud.suspected / fraud.riders if fraud.riders else 0.0
    by_rule = ", ".join(f"{name} {number}" for name, number in fraud.false_alarms.items())
    table.caption = (
        f"False alarms: {fraud.suspected:,} of {fraud.riders:,} honest riders ({rate:.3%})"
        f"{': ' + by_rule if by_rule else ''}. {fraud.cases:,} cases are in the console under Risk."
    )
    table.caption_justify = "left"
    return table


def _stages(summary: Summary) -> Table:
    table = _table(
        "How long it took", ("stage", "<"), ("done", ">"), ("", "<"), ("seconds", ">"), ("per second", ">")
    )
    for stage in summary.stages:
        rate = f"{stage.done / stage.seconds:,.0f}" if stage.seconds > 0 else ""
        table.add_row(stage.title, f"{stage.done:,}", stage.unit, f"{stage.seconds:.1f}", rate)
    table.add_section()
    table.add_row("together", "", "", f"{sum(stage.seconds for stage in summary.stages):.1f}")
    return table


def _checks(summary: Summary) -> Group:
    lines = [
        Text.assemble(
            ("✓ " if check.holds else "✗ ", "green" if check.holds else "bold red"),
            check.statement,
            (f"   {check.detail}" if check.detail else "", "dim"),
        )
        for check in summary.checks
    ]
    waiting = "  ".join(_money(minor, currency) for currency, minor in summary.next_day.items())
    if waiting:
        lines.append(
            Text(
                f"· A gate came back after the cut-off: {waiting} wait for the next business day", style="dim"
            )
        )
    return Group(*lines, Text())


def _city(city_id: str) -> str:
    return city_id.replace("-", " ").title()


def _tariff(new: NewTariff) -> str:
    """The new tariff in two lines."""
    change = new.after - new.before
    sign = "+" if change.minor > 0 else ""
    return (
        f"· New fares of {new.operator_id} begin on {new.first_day:%-d %B %Y}; one clerk wrote them, another approved. "
        f"Over this day: {sign}{change}; {new.better:,} riders better off, {new.same:,} the same, {new.worse:,} worse\n"
        f"· Others for {new.waiting} wait for a second person: /console/tariffs\n"
    )


def _agreed(agreed: Agreed) -> str:
    """The agreements in two lines."""
    kept = " and ".join(str(money) for money in agreed.kept.values()) or "nothing"
    waiting = " and ".join(_city(member) for member in agreed.waiting)
    return (
        f"· {_city(agreed.issuer)} and {_city(agreed.operator)} agreed on fees of their own, by two persons: "
        f"{agreed.rides:,} items cleared by them, issuers kept {kept}\n"
        f"· What {waiting} would agree on waits for a second person: /console/agreements\n"
    )


def _paid(paid: Paid) -> str:
    """The payment between members in two lines."""
    alarms = ", ".join(paid.alarms) or "none"
    return (
        f"· {_city(paid.payer)} paid {_city(paid.payee)} {paid.amount} through the house: {paid.state.lower()}; "
        f"another {paid.refused} was over its limit: {paid.refused_state.lower()}\n"
        f"· It has used {paid.used_percent} % of its limit; alarms that stand: {alarms}: /console/liquidity\n"
    )


def _spent(spent: Spent) -> str:
    """People's day in a few lines, and what a newcomer may try of it."""
    paid, back = _sums(spent.paid), _sums(spent.back)
    failed = spent.states.get("failed", 0)
    words = {"pin": "PIN"}
    ways = " and ".join(f"{number} by {words.get(how, how)}" for how, number in spent.approvals.items())
    lines = [
        f"· People paid shops {paid} by {sum(spent.states.values()):,} payments; {failed} were refused, "
        f"{spent.states.get('settled', 0):,} are settled between card houses, {back} came back",
        f"· {sum(spent.sent.values())} times people sent each other money, {sum(spent.top_ups.values())} times they "
        f"topped up, {sum(spent.withdrawals.values())} took money out; approved {ways}. Their PIN is {PIN}",
        f"· Vouchers for {spent.prepaid} are sold and unused; one for you, at /wallet/vouchers: {spent.vouchers[0]}",
    ]
    if spent.key:
        lines.append(f"· A key for /developers/, of a shop's card house, for tests: {spent.key}")
    return "\n".join(lines) + "\n"


def _places(summary: Summary, home: Path, address: str | None, desk: str | None) -> Table:
    """What a newcomer may open now: pages, files, a command to try."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "hansa" else "hansa"
    pages, table = address or "", Table.grid(padding=(0, 2))
    desk = desk or pages
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    if address is None:
        table.add_row("  open the pages", f"{program} serve --home {home}, then http://localhost:8017 and:")
    table.add_row("  a rider's wallet, a gate", f"{pages}/wallet/   {pages}/gate/")
    if summary.spent is not None:
        table.add_row("  pay, send, visit", f"{pages}/wallet/pay   …/wallet/money   …/wallet/tickets")
        table.add_row("  a shop, its keeper signed in", f"{pages}/merchant/")
        table.add_row("  build on it", f"{pages}/developers/")
    table.add_row("  the league on a map", f"{desk}/console/")
    table.add_row("  a net, down to its taps", f"{desk}/console/days")
    table.add_row("  what waits for a person", f"{desk}/console/disputes   …/agreements   …/tariffs   …/risk")
    table.add_row("  members' liquidity, reports", f"{desk}/console/liquidity   …/reports   …/reconciliation")
    if summary.handed is not None:
        for one in summary.handed.statements[:1]:
            table.add_row("  statements: PDF, CSV, Parquet", f"{one}/")
        table.add_row("  the day as an audit pack", str(summary.handed.pack))
        table.add_row("  check it yourself", f"{program} audit verify {summary.handed.pack}")
    table.add_row("  the day, step by step", f"{program} reconcile {summary.spec.day} --home {home}")
    table.add_row("  bank files, out and in", f"{home / 'files'}/")
    return table


def _disputes(told: Told) -> str:
    """What was disputed, in a few lines."""
    lines = [
        f"· Money back: {told.at_once} riders at once, {told.by_desk} by the operator's desk"
        f"{f', {told.given} together' if told.given else ''}; {told.refused} refused, who may appeal"
    ]
    if told.chargeback is not None:
        lines.append(
            f"· {_city(told.issuer_id)} disputed a ride with {_city(told.operator_id)} and got a chargeback of "
            f"{told.chargeback}, an item of the next day"
        )
    if told.line is not None:
        days = told.line.median_days
        soon = "a day not told" if days is None else f"{days} days" if days else "minutes"
        lines.append(
            f"· Published: {told.line.raised} disputes for “{told.line.reason.replace('_', ' ')}” at "
            f"{_city(told.line.operator_id)}, half decided within {soon}: /disputes/statistics"
        )
    lines.append(f"· {told.waiting} disputes wait for somebody: /console/disputes\n")
    return "\n".join(lines)


def _sums(of: Mapping[str, int]) -> str:
    return ", ".join(_money(minor, currency) for currency, minor in of.items()) or "nothing"


def _money(minor: int, currency: str) -> str:
    return str(Money(minor, currency))
