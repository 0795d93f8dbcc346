"""The change stream: every transfer once, in order, from any place on; and accounts found by what is known of them."""

from itertools import islice, pairwise
from threading import Thread

import pytest

from hansa import ledger
from hansa.kernel import InvalidInput
from hansa.ledger import Account, AccountCode, Place
from hansa.store import Context
from ledger.books import Books, a_transfer, account_id, transfer_id


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="free", shop="free")
    for block in range(3):
        books.post(*(a_transfer(f"{block}-{number}", "ann", "shop", number + 1) for number in range(4)))
    return books


def ids(found: list[ledger.Booked]) -> list[ledger.TransferId]:
    return [booked.transfer.transfer_id for booked in found]


ALL = [transfer_id(f"{block}-{number}") for block in range(3) for number in range(4)]


def test_the_stream_gives_every_transfer_once_in_order(books: Books) -> None:
    found = list(ledger.changes(books.ctx, follow=False))

    assert ids(found) == ALL
    assert all(one.place < other.place for one, other in pairwise(found))


@pytest.mark.parametrize("seen", range(13))
def test_a_reader_goes_on_from_the_last_place_it_saw(books: Books, seen: int) -> None:
    first = list(islice(ledger.changes(books.ctx, follow=False), seen))

    rest = list(ledger.changes(books.ctx, after=first[-1].place if first else None, follow=False))

    assert ids(first) + ids(rest) == ALL


def test_pages_say_whether_more_is_waiting(books: Books) -> None:
    page = ledger.read_changes(books.ctx, limit=5)
    last = ledger.read_changes(books.ctx, after=page.last, limit=100)

    assert (ids(page.changes), page.more) == (ALL[:5], True)
    assert (ids(last.changes), last.more) == (ALL[5:], False)
    assert ledger.read_changes(books.ctx, after=last.last).last == last.last


def test_who_follows_hears_of_what_an_engine_commits(committed_ctx: Context) -> None:
    books = Books(committed_ctx)
    books.open(bank="free", ann="free", shop="free")
    heard: list[ledger.Booked] = []

    def follow() -> None:
        heard.extend(islice(ledger.changes(committed_ctx, pause_s=0.01), 3))

    listener = Thread(target=follow)
    listener.start()
    with ledger.Engine(committed_ctx, pace=ledger.Pace(fold_every_s=3_600)):
        for number in range(3):
            books.post(a_transfer(f"fare {number}", "ann", "shop", 1))
        listener.join(timeout=60)

    assert ids(heard) == [transfer_id(f"fare {number}") for number in range(3)]


@pytest.mark.parametrize(
    "text", ["", "7", "-", "a-b", "1-", "-1", "1-65536", "1-2-3", "9" * 30 + "-0", "1-٣"]
)
def test_what_is_no_place_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput, match="after"):
        ledger.parse_place(text)


def test_a_place_travels_as_text() -> None:
    assert ledger.parse_place(ledger.place_text(Place(12, 34))) == Place(12, 34)


# --- accounts by what is known of them


@pytest.fixture
def chart(ctx: Context) -> Context:
    def account(
        name: str, code: AccountCode, holder: str, path: str, currency: str = "CNY", **labels: str
    ) -> Account:
        return Account(account_id(name), currency, code, holder, path=path, labels=labels)

    ledger.open_accounts(
        ctx,
        [
            account("cash", AccountCode.CASH, "beijing", "cash:beijing"),
            account("cash hkd", AccountCode.CASH, "beijing", "cash:beijing", "HKD"),
            account("ann", AccountCode.WALLET, "ann", "wallet", kind="rider", city="beijing"),
            account("bob", AccountCode.WALLET, "bob", "wallet", kind="rider"),
            account("to mtr", AccountCode.POSITION, "beijing to mtr", "position:beijing:mtr"),
            account("to ttc", AccountCode.POSITION, "beijing to ttc", "position:beijing:ttc"),
            account("besides", AccountCode.POSITION, "beijinger", "position:beijing-too:ttc"),
            account("nowhere", AccountCode.CASH, "someone", ""),
        ],
    )
    Books(ctx).post(
        a_transfer("top-up", "cash", "ann", 500),
        a_transfer("fare", "ann", "to mtr", 120),
        a_transfer("ride", "ann", "to ttc", 30),
        a_transfer("hold", "ann", "besides", 5, "pending"),
    )
    return ctx


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"holder": "beijing"}, {"cash", "cash hkd"}),
        ({"holder": "beijing", "currency": "HKD"}, {"cash hkd"}),
        ({"code": 10}, {"ann", "bob"}),
        ({"path": "position:beijing"}, {"to mtr", "to ttc"}),
        ({"path": "position"}, {"to mtr", "to ttc", "besides"}),
        ({"labels": {"kind": "rider"}}, {"ann", "bob"}),
        ({"labels": {"kind": "rider", "city": "beijing"}}, {"ann"}),
        ({"labels": {"kind": "driver"}}, set[str]()),
    ],
)
def test_accounts_are_found_by_all_that_is_given(
    chart: Context, asked: dict[str, object], found: set[str]
) -> None:
    with chart.tx() as tx:
        accounts = ledger.search_accounts(tx, **asked)  # pyright: ignore[reportArgumentType]

    assert {account.account_id for account in accounts} == {account_id(name) for name in found}


def test_a_search_is_paged_by_id(chart: Context) -> None:
    with chart.tx() as tx:
        whole = ledger.search_accounts(tx)
        first = ledger.search_accounts(tx, limit=3)
        rest = ledger.search_accounts(tx, after=first[-1].account_id)

    assert first + rest == whole
    assert len(whole) == 8


def test_branches_add_up_what_stands_under_them(chart: Context) -> None:
    with chart.tx() as tx:
        kinds = {(row.branch, row.currency): row for row in ledger.tree(tx)}
        issuers = {row.branch: row for row in ledger.tree(tx, "position", depth=2)}
        one = ledger.tree(tx, "position:beijing", depth=3)

    assert kinds["wallet", "CNY"].balance.credit_minor == 350
    assert (kinds["wallet", "CNY"].accounts, kinds["cash", "CNY"].balance.debit_minor) == (2, 500)
    assert kinds["cash", "HKD"].balance == ledger.Balance()
    assert issuers["position:beijing"].balance.credits_posted == 150
    assert issuers["position:beijing-too"].balance.credits_pending == 5
    assert [row.branch for row in one] == ["position:beijing:mtr", "position:beijing:ttc"]


@pytest.mark.parametrize("path", ["Position", "position:", ":", "a b", "x" * 201, "position:%"])
def test_what_is_no_branch_is_refused(chart: Context, path: str) -> None:
    with chart.tx() as tx, pytest.raises(InvalidInput, match="path"):
        ledger.tree(tx, path)
