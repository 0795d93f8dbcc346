"""The steps of a fare in plain words, in English and Chinese."""

from typing import Literal

from hansa.rides.faresv2.model import Step

Language = Literal["en", "zh"]

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "join": "Legs {legs} count as one: they meet without leaving the fare area.",
        "leg": "Leg {legs}: {product}, {amount}.",
        "transfer": "Change to leg {legs}: {product}, {amount}.",
        "free": "Change to leg {legs}: nothing to pay.",
        "dropped": "The transfer fare takes the place of {product}: {amount}.",
        "source": " ({clause}; {row} of the feed)",
    },
    "zh": {
        "join": "第{legs}段合并为一段计价：在付费区内换乘。",
        "leg": "第{legs}段：{product}，{amount}。",
        "transfer": "换乘至第{legs}段：{product}，{amount}。",
        "free": "换乘至第{legs}段：免费。",
        "dropped": "换乘票价取代{product}：{amount}。",
        "source": "（{clause}；数据行 {row}）",
    },
}


def told(step: Step, language: Language = "en") -> str:
    """A step in one sentence, with its clause and its row of the feed."""
    details = dict(step.details)
    words = _WORDS[language]
    first, last = step.legs
    legs = str(first) if first == last else f"{first}-{last}"
    product = details.get("fare_product_name") or details.get("fare_product_id") or ""
    rule = "free" if step.rule == "transfer" and not product else step.rule
    sentence = words[rule].format(legs=legs, product=product, amount=step.amount)
    return sentence + words["source"].format(clause=step.clause, row=step.row)
