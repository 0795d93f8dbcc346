"""How the world's schemes use merchant-presented codes: whose account templates are whose, and what they mean.

Facts of each scheme's published guideline, named beside it. A scheme is recognised by the globally unique identifier of
an account template; nothing else of a code says whose it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Profile:
    """One scheme. country: ISO 3166-1 alpha-2. currency: ISO 4217 numeric. tags: where its template may stand.

    is_ours: whether an identifier (sub-field 00) is the scheme's. fields: words for the sub-fields. wanted: sub-fields
    of which at least one must be there. source: the guideline. templates: sub-fields made of fields again, with
    words for these.
    """

    name: str
    country: str
    currency: str
    tags: frozenset[str]
    is_ours: Callable[[str], bool]
    fields: Mapping[str, str]
    wanted: frozenset[str]
    source: str
    templates: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])


def _named(*identifiers: str) -> Callable[[str], bool]:
    known = frozenset(one.upper() for one in identifiers)
    return lambda identifier: identifier.upper() in known


def _tags(first: int, last: int) -> frozenset[str]:
    return frozenset(f"{number:02}" for number in range(first, last + 1))


def _is_bakong(identifier: str) -> bool:
    """A Bakong account: a name, an at sign, and the bank's short name."""
    name, at, bank = identifier.partition("@")
    return bool(name and at and bank)


PROFILES: tuple[Profile, ...] = (
    Profile(
        "Pix",
        "BR",
        "986",
        _tags(26, 51),
        _named("BR.GOV.BCB.PIX", "BR.GOV.BCB.SPI"),
        {"01": "key", "02": "description", "25": "url"},
        frozenset(("01", "25", "21", "22", "23", "24")),
        "Banco Central do Brasil, Manual do BR Code",
    ),
    Profile(
        "PromptPay",
        "TH",
        "764",
        frozenset(("29",)),
        _named("A000000677010111", "A000000677010114"),
        {"01": "mobile", "02": "national_id", "03": "e_wallet", "04": "bank_account"},
        frozenset(("01", "02", "03", "04")),
        "Bank of Thailand, Thai QR Code Payment Standard, credit transfer",
    ),
    Profile(
        "PromptPay bill payment",
        "TH",
        "764",
        frozenset(("30",)),
        _named("A000000677010112", "A000000677012006"),
        {"01": "biller_id", "02": "reference_1", "03": "reference_2"},
        frozenset(("01",)),
        "Bank of Thailand, Thai QR Code Payment Standard, bill payment",
    ),
    Profile(
        "PayNow",
        "SG",
        "702",
        _tags(26, 51),
        _named("SG.PAYNOW"),
        {"01": "proxy_type", "02": "proxy", "03": "editable", "04": "expiry"},
        frozenset(("02",)),
        "Association of Banks in Singapore, PayNow QR specifications",
    ),
    Profile(
        "QRIS",
        "ID",
        "360",
        frozenset(("51",)),
        _named("ID.CO.QRIS.WWW", "ID.OR.GPNQR.WWW", "ID.OR.QRNASIONAL.WWW"),
        {"02": "merchant_id", "03": "merchant_criteria"},
        frozenset(("02",)),
        "Bank Indonesia, QRIS merchant presented mode",
    ),
    Profile(
        "VietQR",
        "VN",
        "704",
        _tags(26, 51),
        _named("A000000727"),
        {"01": "beneficiary", "02": "service"},
        frozenset(("01",)),
        "NAPAS, VietQR format specification",
        {"01": {"00": "bank", "01": "account"}},
    ),
    Profile(
        "QR Ph",
        "PH",
        "608",
        frozenset(("27", "28")),
        _named("COM.P2PQRPAY", "PH.PPMI.P2M"),
        {"01": "bank", "03": "merchant_id", "04": "account", "05": "proxy_type"},
        frozenset(("01",)),
        "Bangko Sentral ng Pilipinas, National QR Code Standard",
    ),
    Profile(
        "KHQR",
        "KH",
        "116",
        frozenset(("29", "30")),
        _is_bakong,
        {"01": "merchant_id", "02": "acquiring_bank"},
        frozenset(("00",)),
        "National Bank of Cambodia, KHQR content guideline",
    ),
    Profile(
        "SGQR",
        "SG",
        "702",
        frozenset(("51",)),
        _named("SG.SGQR"),
        {"01": "sgqr_id", "02": "version", "03": "postal_code", "04": "level", "05": "unit", "07": "revised"},
        frozenset(("01",)),
        "Monetary Authority of Singapore, SGQR specifications",
    ),
)
"""The schemes that are recognised, the more exact before."""


def profile_of(tag: str, identifier: str) -> Profile | None:
    """Whose an account template is; None where no scheme that is known."""
    return next((one for one in PROFILES if tag in one.tags and one.is_ours(identifier)), None)
