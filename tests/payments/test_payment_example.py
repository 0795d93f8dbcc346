"""The worked example of docs/payments.md, figure by figure; and the page's pictures are those of the code."""

from hansa import ledger, payments
from hansa.kernel import fact_id
from hansa.payments import diagram
from hansa.store import Context
from payments.shopping import ANN, BANK, CARD, asks, held, made, open_town, owed


def test_the_example_of_the_page_is_what_the_ledger_has(ctx: Context) -> None:
    open_town(ctx, money=100_00)
    wallet = payments.wallet_id(ANN, "CNY")
    names = {
        wallet: "wallet",
        payments.position_account(CARD, BANK, "CNY"): "position",
        payments.receivable_account(BANK, "CNY"): "receivable",
        payments.merchant_account("tea-house", "CNY"): "merchant",
    }

    one = made(ctx, asks(30_00))
    payments.refund(ctx, one.payment_id, refund_id=fact_id(None, "example"), by=BANK, minor=10_00)

    with ctx.tx() as tx:
        booked = [
            entry.booked.transfer
            for account in (wallet, payments.merchant_account("tea-house", "CNY"))
            for entry in ledger.statement(tx, account, limit=10)
            if entry.booked.transfer.reference == one.payment_id
        ]
    told = {(ledger.TransferCode(t.code).name, names[t.debit], names[t.credit], t.amount) for t in booked}
    assert told == {
        ("PURCHASE", "wallet", "position", 3000),
        ("PURCHASE", "receivable", "merchant", 3000),
        ("PURCHASE_REFUND", "merchant", "receivable", 1000),
        ("PURCHASE_REFUND", "position", "wallet", 1000),
    }
    assert held(ctx) == (80_00, 0)
    assert owed(ctx) == {"tea": 20_00, "kiosk": 0, "awaited": 20_00, "position": 20_00}


def test_the_diagram_and_the_table_of_the_page_are_drawn_from_the_code() -> None:
    remedy = "run `python -m hansa.payments.diagram`"
    assert diagram.PICTURE.read_text(encoding="utf-8") == diagram.picture(), remedy
    page = diagram.PAGE.read_text(encoding="utf-8")
    assert page == diagram.page(page), remedy
