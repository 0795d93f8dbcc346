"""What a transfer between people is in the ledger. Pure: the table in docs/wallets.md, as transfers.

Money that stays in one partition moves in one chain. Money that goes to another is taken into TRANSIT there and given
out of TRANSIT here; over all partitions TRANSIT comes to zero.
By a quote, the sender's issuer changes the money in the chain that takes it from the wallet; what goes on from there is
in the receiver's currency. Between issuers, the giving end has the item on which clearing settles, and what the
receiver's issuer awaits for it.
"""

from dataclasses import replace

from hansa import clearing, ledger, payments
from hansa.identity import AccountId
from hansa.kernel import Money, fact_id
from hansa.ledger import AS_PENDING, TransferFlag, TransferId
from hansa.wallets.model import Transfer, receivable_account, transit_account
from hansa.wallets.posting import linked

SEND = ledger.TransferCode.SEND


def take_id(transfer: Transfer) -> TransferId:
    """The transfer that takes the money from its sender, or holds it for a link."""
    return TransferId(fact_id(transfer.created_at, transfer.transfer_id, "take"))


def give_id(transfer: Transfer) -> TransferId:
    """The transfer that gives the money out of transit to its receiver."""
    return TransferId(fact_id(transfer.created_at, transfer.transfer_id, "give"))


def arrival_id(transfer: Transfer) -> TransferId:
    """The transfer that stands on the receiver's wallet."""
    if transfer.receiver_issuer_id == transfer.sender_issuer_id:
        return take_id(transfer) if transfer.is_direct else give_id(transfer)
    return TransferId(fact_id(transfer.created_at, transfer.transfer_id, "receive"))


def take(transfer: Transfer) -> tuple[ledger.Transfer, ...]:
    """From the sender's wallet: to the receiver where both are in one partition, else into transit; a link holds it."""
    changed, source = _change(transfer)
    if transfer.is_direct:
        return linked((*changed, *_to_receiver(transfer, take_id(transfer), source, transfer.partition)))
    return linked((
        *changed,
        _move(
            transfer,
            take_id(transfer),
            source,
            transit_account(transfer.sender_issuer_id, transfer.currency, transfer.partition),
            transfer.partition,
            flags=TransferFlag.PENDING if transfer.is_link else TransferFlag.NONE,
        ),
    ))  # fmt: skip


def _change(transfer: Transfer) -> tuple[tuple[ledger.Transfer, ...], ledger.AccountId]:
    """What the sender's issuer does to change the money, and from where it then goes on."""
    if transfer.quote_id is None:
        return (), _wallet_of_sender(transfer)
    pays, issuer, partition = transfer.pays, transfer.sender_issuer_id, transfer.partition
    till = payments.exchange_account(issuer, pays.currency, partition)
    moves = [
        _move(transfer, _part_id(transfer, "pay"), _wallet_of_sender(transfer), till, partition, amount=pays)
    ]
    if transfer.fee_minor:
        fee, earned = (
            Money(transfer.fee_minor, pays.currency),
            payments.earned_account(issuer, pays.currency, partition),
        )
        moves.append(_move(transfer, _part_id(transfer, "fee"), till, earned, partition, amount=fee))
    return tuple(moves), payments.exchange_account(issuer, transfer.currency, partition)


def _part_id(transfer: Transfer, part: str) -> TransferId:
    return TransferId(fact_id(transfer.created_at, transfer.transfer_id, part))


def claim(transfer: Transfer) -> tuple[ledger.Transfer, ...]:
    """What a link holds goes into transit."""
    return (_resolve(transfer, "claim", TransferFlag.POST_PENDING, ledger.AMOUNT_MAX),)


def void(transfer: Transfer) -> tuple[ledger.Transfer, ...]:
    """What a link holds is free again."""
    return (_resolve(transfer, "void", TransferFlag.VOID_PENDING, 0),)


def give(transfer: Transfer) -> tuple[ledger.Transfer, ...]:
    """Out of transit to the receiver, in the receiver's partition."""
    assert transfer.receiver_partition is not None, "only what has a receiver is given"
    source = transit_account(transfer.sender_issuer_id, transfer.currency, transfer.receiver_partition)
    return _to_receiver(transfer, give_id(transfer), source, transfer.receiver_partition)


def give_back(transfer: Transfer) -> tuple[ledger.Transfer, ...]:
    """Out of transit back to the sender; changed money as it came, to the cent."""
    changed, target = _change(transfer)
    back = tuple(
        replace(one, transfer_id=_part_id(transfer, f"{part} back"), debit=one.credit, credit=one.debit)
        for one, part in zip(changed, ("pay", "fee"), strict=False)
    )
    return linked((
        _move(
            transfer,
            _part_id(transfer, "return"),
            transit_account(transfer.sender_issuer_id, transfer.currency, transfer.partition),
            target,
            transfer.partition,
        ),
        *reversed(back),
    ))  # fmt: skip


def _to_receiver(
    transfer: Transfer, first_id: TransferId, source: ledger.AccountId, partition: int
) -> tuple[ledger.Transfer, ...]:
    assert transfer.receiver_id is not None and transfer.receiver_issuer_id is not None, "a receiver is known"
    wallet = payments.wallet_id(AccountId(transfer.receiver_id), transfer.currency)
    issuer, other, unit = transfer.sender_issuer_id, transfer.receiver_issuer_id, transfer.currency
    if issuer == other:
        return (_move(transfer, first_id, source, wallet, partition),)
    return linked((
        _move(transfer, first_id, source, clearing.position_account(issuer, other, unit, partition), partition),
        _move(transfer, arrival_id(transfer), receivable_account(other, unit, partition), wallet, partition),
    ))  # fmt: skip


def _wallet_of_sender(transfer: Transfer) -> ledger.AccountId:
    return payments.wallet_id(AccountId(transfer.sender_id), transfer.pays.currency)


def _move(
    transfer: Transfer,
    transfer_id: TransferId,
    debit: ledger.AccountId,
    credit: ledger.AccountId,
    partition: int,
    *,
    flags: TransferFlag = TransferFlag.NONE,
    amount: Money | None = None,
) -> ledger.Transfer:
    amount = amount or transfer.amount
    return ledger.Transfer(
        transfer_id=transfer_id,
        debit=debit,
        credit=credit,
        amount=amount.minor,
        currency=amount.currency,
        code=SEND,
        event_at=transfer.created_at,
        partition=partition,
        flags=flags,
        reference=transfer.transfer_id,
    )


def _resolve(transfer: Transfer, what: str, flag: TransferFlag, amount: int) -> ledger.Transfer:
    return ledger.Transfer(
        transfer_id=TransferId(fact_id(transfer.created_at, transfer.transfer_id, what)),
        debit=AS_PENDING,
        credit=AS_PENDING,
        amount=amount,
        currency="",
        code=0,
        event_at=transfer.created_at,
        partition=transfer.partition,
        flags=flag,
        pending_id=take_id(transfer),
    )
