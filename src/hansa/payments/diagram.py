"""The life of a payment as a picture and as a table, drawn from the one table of ``life``.

    python -m hansa.payments.diagram

writes docs/payment-life.svg and the table in docs/payments.md anew; a test holds both against the table.
"""

from collections.abc import Mapping
from pathlib import Path

from hansa.payments.life import ACTIONS, BEGINNINGS, ENDED, STATES, TABLE, Action, PaymentState

DOCS = Path(__file__).parents[3] / "docs"
PICTURE, PAGE = DOCS / "payment-life.svg", DOCS / "payments.md"
BEGIN, END = "<!-- the table, from hansa.payments.life -->", "<!-- end of the table -->"

WIDTH, HEIGHT = 1_180, 690
BOX_W, BOX_H = 150, 38

_S = PaymentState
_PLACES: Mapping[PaymentState, tuple[int, int]] = {
    _S.CREATED: (110, 60),
    _S.REQUIRES_APPROVAL: (110, 230),
    _S.PROCESSING: (430, 145),
    _S.UNKNOWN: (430, 330),
    _S.AUTHORIZED: (760, 60),
    _S.CAPTURED: (760, 230),
    _S.VOIDED: (1_070, 60),
    _S.SETTLED: (1_070, 230),
    _S.CANCELED: (110, 580),
    _S.FAILED: (430, 580),
    _S.EXPIRED: (760, 580),
    _S.REVERSED: (1_070, 430),
}
"""The middle of each state's box."""

_BENDS: Mapping[tuple[PaymentState, PaymentState], int] = {
    (_S.CREATED, _S.CANCELED): 92,
    (_S.CREATED, _S.EXPIRED): -135,
    (_S.REQUIRES_APPROVAL, _S.CREATED): 46,
    (_S.CREATED, _S.REQUIRES_APPROVAL): 30,
    (_S.PROCESSING, _S.CREATED): 44,
    (_S.CREATED, _S.PROCESSING): 10,
    (_S.UNKNOWN, _S.CREATED): -60,
    (_S.UNKNOWN, _S.AUTHORIZED): 34,
    (_S.PROCESSING, _S.CAPTURED): -8,
    (_S.PROCESSING, _S.CANCELED): -30,
    (_S.PROCESSING, _S.FAILED): 110,
    (_S.AUTHORIZED, _S.EXPIRED): -112,
    (_S.EXPIRED, _S.REVERSED): 20,
    (_S.FAILED, _S.REVERSED): -30,
    (_S.CANCELED, _S.REVERSED): -85,
}
"""How far an edge bends to the left of its way, where a straight one would hide another."""

_STYLE = """
svg { font: 13px system-ui, sans-serif; background: #fff; color: #1b2733 }
.box { fill: #eef4f8; stroke: #35607f; stroke-width: 1.4 } .end { fill: #f3f1ec; stroke: #6d6556 }
.way { fill: none; stroke: #6b7d8c; stroke-width: 1.3 } .tip { fill: #6b7d8c }
text { fill: #1b2733; text-anchor: middle; dominant-baseline: middle } .name { font-weight: 600 }
.says { font-size: 11px; paint-order: stroke; stroke: #fff; stroke-width: 4px }
@media (prefers-color-scheme: dark) {
svg { background: #10171d } .box { fill: #17303f; stroke: #7fb2d1 } .end { fill: #2a2820; stroke: #a99f87 }
.way { stroke: #8fa3b2 } .tip { fill: #8fa3b2 } text { fill: #e6edf2 } .says { stroke: #10171d }
}
"""


def picture() -> str:
    """The diagram as SVG."""
    ways: dict[tuple[PaymentState, PaymentState], list[Action]] = {}
    for state, actions in TABLE.items():
        for action, then in actions.items():
            ways.setdefault((state, then), []).append(action)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="The life of a payment: {len(TABLE)} states and the actions between them">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
    ]
    drawn = [_way(*pair, actions) for pair, actions in ways.items()]
    parts += [path for path, _ in drawn]
    parts += [_box(state) for state in TABLE]
    parts += [text for _, text in drawn]
    return "\n".join([*parts, "</svg>", ""])


def table() -> str:
    """The table in Markdown: each state, what it means, and what may be done."""
    rows = ["| state | what it means | what may be done, and what it then is |", "|---|---|---|"]
    ways = "; ".join(f"{action} → `{then}`" for action, then in BEGINNINGS.items())
    rows.append(f"| new | Its first step. | {ways} |")
    for state, actions in TABLE.items():
        ways = "; ".join(f"{action} → `{then}`" for action, then in actions.items()) or "nothing: it is over"
        rows.append(f"| `{state}` | {STATES[state]} | {ways} |")
    rows += ["", "| action | when |", "|---|---|"]
    rows += [f"| {action} | {ACTIONS[action]} |" for action in Action]
    return "\n".join(rows)


def page(text: str) -> str:
    """The page with its table as it is to be."""
    before, _, rest = text.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{behind}"


def main() -> None:
    """Write both anew."""
    PICTURE.write_text(picture(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _box(state: PaymentState) -> str:
    x, y = _PLACES[state]
    kind = "box end" if state in ENDED else "box"
    return (
        f'<rect class="{kind}" x="{x - BOX_W // 2}" y="{y - BOX_H // 2}" width="{BOX_W}" height="{BOX_H}" rx="9"/>'
        f'<text class="name" x="{x}" y="{y}">{state}</text>'
    )


def _way(state: PaymentState, then: PaymentState, actions: list[Action]) -> tuple[str, str]:
    """An edge and its words. It leaves and meets boxes at their rims; one to itself is a loop."""
    says = ", ".join(actions).replace("_", " ")
    x, y = _PLACES[state]
    if state is then:
        top = y - BOX_H // 2 if state is not _S.CAPTURED else y + BOX_H // 2
        away = -46 if state is not _S.CAPTURED else 46
        path = f"M{x - 30} {top}C{x - 40} {top + away} {x + 40} {top + away} {x + 30} {top}"
        return f'<path class="way" marker-end="url(#tip)" d="{path}"/>', _says(x, top + away, says)
    x2, y2 = _PLACES[then]
    bend = _BENDS.get((state, then), 0)
    length = max(1.0, ((x2 - x) ** 2 + (y2 - y) ** 2) ** 0.5)
    cx = (x + x2) / 2 + bend * 2 * (y2 - y) / length
    cy = (y + y2) / 2 - bend * 2 * (x2 - x) / length
    sx, sy = _rim(x, y, cx, cy)
    ex, ey = _rim(x2, y2, cx, cy)
    path = f"M{sx} {sy}Q{round(cx)} {round(cy)} {ex} {ey}"
    tx, ty = (sx + 2 * cx + ex) / 4, (sy + 2 * cy + ey) / 4
    return f'<path class="way" marker-end="url(#tip)" d="{path}"/>', _says(round(tx), round(ty), says)


def _says(x: int, y: int, says: str) -> str:
    return f'<text class="says" x="{x}" y="{y}">{says}</text>'


def _rim(x: int, y: int, to_x: float, to_y: float) -> tuple[int, int]:
    """Where the line from a box's middle to a point leaves the box."""
    dx, dy = to_x - x, to_y - y
    scale = min(
        (BOX_W / 2) / abs(dx) if dx else float("inf"), (BOX_H / 2) / abs(dy) if dy else float("inf"), 1.0
    )
    return round(x + dx * scale), round(y + dy * scale)


if __name__ == "__main__":
    main()
