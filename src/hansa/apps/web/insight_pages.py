"""The wallet's page of spending: a month by category, compared, drawn and as tables; and the month as a CSV file."""

import asyncio
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from litestar import Request, Response, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect

from hansa import identity, notifications, payments
from hansa.apps import spending
from hansa.apps.personal_data import currency_of
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.callers import get_account
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.me_view import zone_of
from hansa.apps.web.pages import page
from hansa.apps.web.problem_words import in_words
from hansa.apps.web.site import Here, Site
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Money, Problem
from hansa.notifications.watches_model import ALL

Asked = Request[Any, Any, Any]
MonthAsked = Annotated[str, QueryParameter(max_length=7, description="``2026-11``; empty: this month")]
CurrencyAsked = Annotated[str, QueryParameter(max_length=3)]

WIDTH, HEIGHT, TOP, GROUND = 336, 150, 22, 126
"""The picture of six months, in its own units."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would take for a formula."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A month of the picture."""

    x: int
    y: float
    height: float
    name: str
    amount: Money
    now: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A budget as the page shows it. text: as the form has it. passed: 80 or 100 per cent of it, or 0."""

    code: str
    name: str
    text: str
    planned: Money | None
    spent: Money
    passed: int

    @property
    def share(self) -> float:
        """How much of it is spent, up to 100."""
        if self.planned is None:
            return 0
        return round(max(0, min(100, 100 * self.spent.minor / self.planned.minor)), 1)


@get("/wallet/insight", sync_to_thread=True, include_in_schema=False)
def show_insight(
    request: Asked, site: Here, month: MonthAsked = "", currency: CurrencyAsked = ""
) -> Response[str]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    return _insight_page(request, site, account, say, month, currency)


@post("/wallet/insight/budgets", include_in_schema=False)
async def plan_budgets(request: Asked, site: Here) -> Response[Any]:
    """Keep what one plans to spend in a month, by category; an empty field is no plan."""
    form = {name: str(value) for name, value in (await request.form()).items()}
    return await asyncio.to_thread(_plan, request, site, form)


def _plan(request: Asked, site: Site, form: dict[str, str]) -> Response[Any]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    month, currency = form.get("month", "")[:7], form.get("currency", "")[:3]
    partition = site.ctx.directory.partition_of(account.account_id)
    try:
        found, _, _ = _read(site, account, month, currency)
        plans = {
            name: read_minor(text, found.currency, where=name)
            if (text := form.get(name, "").strip())
            else None
            for name in (ALL, *spending.CATEGORIES)
            if name in form
        }
        with site.ctx.tx() as tx:
            notifications.watches.set_budgets(
                tx,
                account.account_id,
                found.currency,
                payments.wallet_id(account.account_id, found.currency),
                plans,
                at=site.ctx.clock.now(),
                partition=partition,
            )
    except InvalidInput as refused:
        names = {ALL: spending.ALL_SPENDING, **spending.CATEGORIES}
        told = [
            say("{name}: {words}", name=say(names.get(one.where, one.where)), words=in_words([one], say))
            for one in refused.problems
        ]
        return _insight_page(request, site, account, say, month, currency, refused=told, typed=form)
    return Redirect(
        f"/wallet/insight?month={found.first:%Y-%m}&currency={found.currency}#budgets", status_code=303
    )


def _insight_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    say: Words,
    month: str,
    currency: str,
    *,
    refused: Sequence[str] = (),
    typed: Mapping[str, str] | None = None,
) -> Response[str]:
    found, zone, currencies = _read(site, account, month, currency)
    this_month = site.ctx.clock.now().astimezone(ZoneInfo(zone)).date().replace(day=1)
    after = spending.month_before(found.first, -1)
    largest = max((row.minor for row in found.rows), default=0)
    answer = page(
        "wallet/insight.html",
        here="money",
        account=account,
        say=say,
        month=found,
        name=month_name(found.first, say),
        bars=_bars(found, say),
        size=(WIDTH, HEIGHT, GROUND),
        currencies=currencies,
        amount=partial(Money, currency=found.currency),
        largest=largest,
        before=f"{spending.month_before(found.first):%Y-%m}",
        after=f"{after:%Y-%m}" if after <= this_month else "",
        asked=f"{found.first:%Y-%m}",
        last=f"{this_month:%Y-%m}",
        zone=zone,
        budgets=_plans(site, account, found, typed),
        refused=refused,
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


def _plans(
    site: Site, account: identity.Account, found: spending.Month, typed: Mapping[str, str] | None
) -> list[Plan]:
    """A budget of each category, and of all: what is planned, what is spent of it."""
    partition = site.ctx.directory.partition_of(account.account_id)
    with site.ctx.tx() as tx:
        kept = {
            one.category: one.minor
            for one in notifications.watches.list_budgets(
                tx, account.account_id, partition=partition, currency=found.currency
            )
        }
    spent = {row.code: row.minor for row in found.rows} | {ALL: found.spent_minor}
    return [
        Plan(
            code,
            name,
            (typed or {}).get(code, Money(kept[code], found.currency).decimal() if code in kept else ""),
            Money(kept[code], found.currency) if code in kept else None,
            Money(spent.get(code, 0), found.currency),
            notifications.reached(spent.get(code, 0), kept[code]) if code in kept else 0,
        )
        for code, name in {ALL: spending.ALL_SPENDING, **spending.CATEGORIES}.items()
    ]


@get("/wallet/insight.csv", sync_to_thread=True, include_in_schema=False)
def give_csv(
    request: Asked, site: Here, month: MonthAsked = "", currency: CurrencyAsked = ""
) -> Response[bytes]:
    """A month's lines: when, what, for what, whom, how much, and what the wallet held after. RFC 4180, UTF-8."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    found, zone, _ = _read(site, account, month, currency)
    names = {**spending.CATEGORIES, **spending.OTHER_MONEY}
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(
        ["date", "time", "category", "payee", "kind", "amount", "currency", "balance", "reference"]
    )
    for one in reversed(found.lines):
        local = one.at.astimezone(ZoneInfo(zone))
        table.writerow(
            [
                local.date().isoformat(),
                f"{local:%H:%M:%S}",
                _cell(say(names[one.category])),
                _cell(one.payee),
                one.kind.value,
                _decimal(one.minor, one.currency),
                one.currency,
                _decimal(one.balance_minor, one.currency),
                str(one.reference),
            ]
        )
    name = f"hansa-{found.first:%Y-%m}-{found.currency}.csv"
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


def _read(
    site: Site, account: identity.Account, month: str, currency: str
) -> tuple[spending.Month, str, list[str]]:
    """A month of this person, their time zone, and their currencies. Errors: InvalidInput."""
    now = site.ctx.clock.now()
    partition = site.ctx.directory.partition_of(account.account_id)
    with site.ctx.tx() as tx:
        zone = zone_of(tx, account)
        held = payments.balance_of(tx, account.account_id, partition=partition)
        home = currency_of(tx, account)
        currencies = sorted({one.currency for one in held} | {home}, key=lambda one: (one != home, one))
        if currency and currency not in currencies:
            problem = Problem("currency", "you have no such wallet", f"Take one of {', '.join(currencies)}")
            raise InvalidInput("There is no such wallet.", problems=(problem,))
        first = _month(month) or now.astimezone(ZoneInfo(zone)).date().replace(day=1)
        found = spending.read_month(
            tx,
            account.account_id,
            first,
            currency=currency or home,
            zone=zone,
            now=now,
            partition=partition,
        )
    return found, zone, currencies


def _month(text: str) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year <= 2200:
        problem = Problem("month", "it is no month of 2000 to 2200", "Write it as 2026-11")
        raise InvalidInput("There is no such month.", problems=(problem,))
    return found


def month_name(first: date, say: Words) -> str:
    """A month of a year: ``November 2026``, ``2026年11月``, ``novembre 2026``."""
    if say.language == "zh":
        return f"{first.year}年{first.month}月"
    return f"{(_MONTHS_FR if say.language == 'fr' else _MONTHS)[first.month - 1]} {first.year}"


def month_short(first: date, say: Words) -> str:
    """A month where there is little room: ``Nov``, ``11月``, ``nov.``; no two of a year are the same."""
    if say.language == "zh":
        return f"{first.month}月"
    return _MONTHS_SHORT_FR[first.month - 1] if say.language == "fr" else _MONTHS[first.month - 1][:3]


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_MONTHS_FR = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
    "décembre",
)  # fmt: skip
_MONTHS_SHORT_FR = (
    "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.",
)  # fmt: skip


def _bars(month: spending.Month, say: Words) -> list[Bar]:
    highest = max((minor for _, minor in month.months), default=0)
    step = WIDTH // len(month.months)
    bars: list[Bar] = []
    for place, (first, minor) in enumerate(month.months):
        height = (GROUND - TOP) * max(minor, 0) / highest if highest > 0 else 0
        name = month_short(first, say)
        bars.append(
            Bar(
                step * place + step // 2,
                round(GROUND - height, 1),
                round(height, 1),
                name,
                Money(minor, month.currency),
                first == month.first,
            )
        )
    return bars


def _cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _decimal(minor: int, currency: str) -> str:
    """An amount as a plain decimal number, exactly: -1234 CNY is ``-12.34``."""
    places = CURRENCY_EXPONENTS[currency]
    sign, digits = "-" if minor < 0 else "", f"{abs(minor):0{places + 1}}"
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


ROUTES = [show_insight, plan_budgets, give_csv]
