"""EMVCo payment codes: the QR codes of shops and of payers, as the world's schemes write them. Pure.

Merchant-presented (EMVCo QRCPS MPM 1.1): text of tags, lengths and values with a checksum; consumer-presented (QRCPS
CPM 1.1): BER-TLV in base64. Reading is lenient and tells what the standard or the scheme would want otherwise; asked
to be strict, it refuses for it. Making is always strict.
"""

from hansa.codes.emvco.consumer import ConsumerCode, make_consumer_code, read_consumer_code
from hansa.codes.emvco.fields import Field, PaymentCodeRefused, crc_of
from hansa.codes.emvco.merchant import (
    AdditionalData,
    MerchantAccount,
    MerchantCode,
    Tip,
    make_merchant_code,
    read_merchant_code,
)
from hansa.codes.emvco.profiles import PROFILES, Profile

__all__ = [
    "PROFILES",
    "AdditionalData",
    "ConsumerCode",
    "Field",
    "MerchantAccount",
    "MerchantCode",
    "PaymentCodeRefused",
    "Profile",
    "Tip",
    "crc_of",
    "make_consumer_code",
    "make_merchant_code",
    "read_consumer_code",
    "read_merchant_code",
]
