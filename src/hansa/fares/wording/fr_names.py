"""What hours and classes are called in French, where a tariff calls them by the usual names, and numbers written."""

BANDS = {"peak": "heures de pointe", "off-peak": "heures creuses", "night": "nuit"}
CLASSES = {"adult": "adulte", "child": "enfant", "senior": "senior", "student": "étudiant"}


def grouped_fr(number: int) -> str:
    """``"21 500"``, with narrow spaces that do not break."""
    return f"{number:,}".replace(",", "\u202f")
