"""ISO 4217 numeric codes of currencies, as payment codes write them."""

NUMERIC: dict[str, str] = {
    "032": "ARS", "036": "AUD", "096": "BND", "104": "MMK", "116": "KHR", "124": "CAD", "144": "LKR",
    "152": "CLP", "156": "CNY", "170": "COP", "208": "DKK", "344": "HKD", "356": "INR", "360": "IDR", "392": "JPY",
    "398": "KZT", "410": "KRW", "414": "KWD", "418": "LAK", "446": "MOP", "458": "MYR", "484": "MXN", "496": "MNT",
    "512": "OMR", "524": "NPR", "554": "NZD", "578": "NOK", "586": "PKR", "604": "PEN", "608": "PHP", "643": "RUB",
    "682": "SAR", "702": "SGD", "704": "VND", "710": "ZAR", "752": "SEK", "756": "CHF", "764": "THB", "784": "AED",
    "788": "TND", "826": "GBP", "840": "USD", "860": "UZS", "901": "TWD", "933": "BYN", "949": "TRY", "978": "EUR",
    "985": "PLN", "986": "BRL",
}  # fmt: skip
"""Numeric to alphabetic."""

ALPHABETIC: dict[str, str] = {alphabetic: numeric for numeric, alphabetic in NUMERIC.items()}
"""Alphabetic to numeric."""
