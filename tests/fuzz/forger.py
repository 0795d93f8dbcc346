"""What may come before a gate's camera: honest codes, and what forgers, phones and issuers of every kind make of them.

`forged_text` has none of the honest keys: whatever it makes that is not an honest code itself must be refused.
`signed_text` has the keys of one phone and one issuer: what it makes is well signed, and good only in the one layout.
"""

from dataclasses import replace
from typing import Any

from fuzz.dice import Dice
from hansa.codes import PREFIX, Scope, base45_encode, cbor_encode
from hansa.gate.conformance.bench import CELL, NOW, Bench, twin_of
from hansa.gate.conformance.drafts import Message, Phone, Signer, text_of

BENCH = Bench(2026)
TRUSTED = BENCH.trust_list
FULL_SCOPE = Scope("student", ("metro", "bus", "bicycle"), ("metro",), 255, companions=15)
DIGITS = 77
"""What the gate shows when it shows digits."""

OWNER, OTHER = BENCH.phone(), BENCH.phone(scope=FULL_SCOPE, issuer="two")
THIEF = BENCH.mint.issuer("nobody")
ODD_LABELS: tuple[Any, ...] = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 33, 256, 2**32),
    *(0, -1, -2, -3, -4, -65536, "kid", "", b"\x04", b""),
)


def _honest() -> list[Message]:
    made = [
        phone.code(NOW, counter=counter, cell=CELL)
        for phone in (OWNER, OTHER)
        for counter in (0, 23, 24, 255, 256, 65535)
    ]
    made.append(OTHER.code(NOW, counter=7, cell=CELL, companion=2))
    made.append(OTHER.code(NOW, counter=8, cell=CELL, companion=15, challenge=DIGITS))
    made.append(OWNER.code(NOW, counter=9, cell=bytes(3), challenge=DIGITS))
    return made


HONEST = _honest()
HONEST_TEXTS = frozenset(text_of(code) for code in HONEST)


def forged_text(dice: Dice) -> str:
    """A text made without any honest key: from nothing, or from honest codes that were seen."""
    way = dice.number(7)
    if way == 0:
        return dice.rest().decode("utf-8", "surrogatepass" if dice.number(1) else "replace")
    if way == 1:
        return PREFIX + base45_encode(dice.rest())
    if way == 2:
        return _changed_letters(dice)
    if way == 3:
        return text_of(_swapped(dice))
    if way == 4:
        return text_of(_resigned_by_thief(dice))
    if way == 5:
        return text_of(twin_of(dice.one_of(HONEST)))
    return text_of(spoilt(dice, dice.one_of(HONEST).data))


def spoilt(dice: Dice, data: bytes) -> bytes:
    """These bytes with some changed, cut, doubled or put in."""
    changed = data
    for _ in range(dice.number(3) + 1):
        at = dice.number(len(changed)) if changed else 0
        way = dice.number(5)
        if way == 0:
            changed = changed[:at] + bytes((dice.number(255),)) + changed[at + 1 :]
        elif way == 1:
            flipped = changed[at : at + 1] or b"\0"
            changed = changed[:at] + bytes((flipped[0] ^ 1 << dice.number(7),)) + changed[at + 1 :]
        elif way == 2:
            changed = changed[:at] + dice.some_bytes(9) + changed[at:]
        elif way == 3:
            changed = changed[:at] + changed[at + dice.number(9) :]
        elif way == 4:
            changed = changed[:at] + odd_item(dice) + changed[at + dice.number(9) :]
        else:
            end = at + dice.number(40)
            changed = changed[:at] + changed[at:end] * 2 + changed[end:]
    return changed


def odd_value(dice: Dice, depth: int = 0) -> Any:
    """A value of any kind that CBOR of ours can hold."""
    way = dice.number(9)
    if way == 0:
        return None
    if way == 1:
        return bool(dice.number(1))
    if way == 2:
        return dice.number(2**64 - 1)
    if way == 3:
        return -1 - dice.number(2**64 - 1)
    if way == 4:
        return dice.one_of((0, 1, 15, 16, 23, 24, 255, 256, 9999, 10000, 65535, 65536, 2**32 - 1, 2**32))
    if way == 5:
        return dice.take(dice.one_of((0, 2, 3, 4, 5, 8, 31, 32, 33, 64)))
    if way == 6:
        return dice.some_bytes(5).decode("latin-1")
    if way == 7 and depth < 3:
        return [odd_value(dice, depth + 1) for _ in range(dice.number(4))]
    if way == 8 and depth < 3:
        return {dice.one_of(ODD_LABELS): odd_value(dice, depth + 1) for _ in range(dice.number(3))}
    return dice.number(255)


def odd_item(dice: Dice) -> bytes:
    """Bytes that look like CBOR: an item, or a head without what it promises."""
    if dice.number(1):
        return cbor_encode(odd_value(dice))
    return bytes((dice.number(255),)) + dice.some_bytes(8)


def signed_text(dice: Dice) -> str:
    """A code whose signatures are right, by phone and issuer, around whatever they signed."""
    phone = dice.one_of((OWNER, OTHER))
    token = phone.token
    if dice.number(1):
        token = _changed_token(dice, phone)
    payload = dice.one_of(HONEST).payload
    for _ in range(dice.number(2)):
        payload = Message(b"\xa0", payload).body({dice.one_of(ODD_LABELS): odd_value(dice)}).payload
    if dice.number(3) == 0:
        payload = spoilt(dice, payload)
    code = phone.around(token.data if dice.number(7) else spoilt(dice, token.data), payload)
    if dice.number(3) == 0:
        code = replace(code, protected=spoilt(dice, code.protected)).signed(phone.key)
    if dice.number(7) == 7:
        code = replace(code, unprotected=odd_item(dice))
    if dice.number(15) == 15:
        code = replace(code, array=odd_item(dice))
    return text_of(code)


def signed_list(dice: Dice, content_type: str, fields: dict[int, Any], signer: Signer) -> tuple[bytes, bool]:
    """A list's message: as it is, spoilt, or signed by the right key around an odd payload.

    Gives also whether it was in the right key's hands; if not, and if it is not the honest one, it must be refused.
    """
    header, payload = cbor_encode({1: -8, 3: content_type}), cbor_encode(fields)
    way = dice.number(4)
    if way == 0:
        return spoilt(dice, Message(header, payload).signed(signer).data), False
    if way == 1:
        return Message(header, spoilt(dice, payload)).signed(signer).data, True
    if way == 2:
        return Message(spoilt(dice, header), payload).signed(signer).data, True
    if way == 3:
        return Message(header, payload).signed(THIEF).data, False
    changed = dict(fields)
    for _ in range(dice.number(2) + 1):
        label = dice.one_of((1, 2, 3, 4, 5, 6, 0, -1))
        if isinstance(changed.get(label), list) and dice.number(3):
            changed[label] = _changed_rows(dice, changed[label])
        elif dice.number(7) == 7:
            changed.pop(label, None)
        else:
            changed[label] = odd_value(dice)
    return Message(header, cbor_encode(changed)).signed(signer).data, True


def _changed_rows(dice: Dice, rows: list[Any]) -> list[Any]:
    if not rows:
        return [odd_value(dice)]
    rows = [list(row) if isinstance(row, list) else row for row in rows]
    place = dice.number(len(rows) - 1)
    way = dice.number(3)
    if way == 0:
        rows.append(rows[place])
    elif way == 1:
        rows[place] = odd_value(dice)
    elif isinstance(rows[place], list) and rows[place]:
        rows[place][dice.number(len(rows[place]) - 1)] = odd_value(dice)
    return rows


def _changed_token(dice: Dice, phone: Phone) -> Message:
    token, way = phone.token, dice.number(5)
    if way == 0:
        token = token.body({dice.one_of((4, 7, 8, 9, 1, 6)): odd_value(dice)})
    elif way == 1:
        token = token.key({dice.one_of((1, -1, -2, -3, -4)): odd_value(dice)})
    elif way == 2:
        token = token.header({dice.one_of((1, 4, 3, 33)): odd_value(dice)})
    elif way == 3:
        token = token.body({9: dice.take(5)})
    elif way == 4:
        token = replace(token, payload=spoilt(dice, token.payload))
    else:
        token = replace(token, protected=spoilt(dice, token.protected))
    return phone.issued(token)


def _changed_letters(dice: Dice) -> str:
    letters = list(text_of(dice.one_of(HONEST)))
    for _ in range(dice.number(3) + 1):
        at = dice.number(len(letters) - 1)
        letters[at : at + dice.number(2)] = dice.one_of(
            ("", "A", ":", " ", "a", "\n", "\0", "É", "\U0001f600", ":::", "ZZZ", "HR1:", "\ud800")
        )
        letters = letters or ["H"]
    return "".join(letters)


def _swapped(dice: Dice) -> Message:
    """Parts of two honest codes put together."""
    one, other = dice.one_of(HONEST), dice.one_of(HONEST)
    parts = {name: getattr(other, name) for name in ("protected", "payload", "signature") if dice.number(1)}
    return replace(one, **parts)


def _resigned_by_thief(dice: Dice) -> Message:
    """An honest code after somebody else's keys were at it."""
    one, way = dice.one_of(HONEST), dice.number(3)
    thief = BENCH_THIEF
    if way == 0:  # another phone's signature around an honest token
        return thief.around(OWNER.token, one.payload)
    if way == 1:  # a token of an issuer nobody listed
        return thief.around(thief.token.signed(THIEF), one.payload)
    if way == 2:  # a token that the thief's phone signed itself
        return thief.around(thief.token.signed(thief.key), one.payload)
    claims = spoilt(dice, OWNER.token.payload)
    return thief.around(Message(OWNER.token.protected, claims, OWNER.token.signature), one.payload)


BENCH_THIEF = BENCH.phone()
BENCH_THIEF.token = BENCH_THIEF.token.signed(THIEF)
