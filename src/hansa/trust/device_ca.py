"""The league's certificate authority for devices: its key in the key folder, and the certificates it gives out.

X.509 version 3 by P-256 and SHA-256 (RFC 5280, RFC 5480). A device's common name is its id: the broker takes it for the
user's name and for the client id, so one device can be no other.
"""

import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hansa.kernel import InvalidInput, Problem
from hansa.trust.device_model import CERTIFICATE_LIFE, Certificate
from hansa.trust.keys import KeyUnfit

CA_LIFE = timedelta(days=3650)
CRL_LIFE = timedelta(days=30)
"""A broker whose revocation list has ended lets nobody in; the list is made anew whenever the broker's keeper looks."""

SERVER_LIFE = timedelta(days=365)
_EARLIER = timedelta(minutes=5)
"""A certificate begins this long before it is made, for boxes whose clocks run behind."""


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A revocation list that was written. serials: of the certificates on it."""

    number: int
    updated_at: datetime
    serials: frozenset[bytes]


class DeviceCa:
    """Signs devices' certificates, and the broker's, and says which have been taken back."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    @staticmethod
    def in_folder(folder: Path, at: datetime) -> "DeviceCa":
        """The authority whose key is in this folder (0600); made when there is none. Errors: KeyUnfit."""
        path = folder / "device-ca.pem"
        if not path.exists():
            _make(path, at)
        if path.stat().st_mode & 0o077:
            raise KeyUnfit(f"Others may read {path.name}. Run: chmod 600 on it, and think about a new key.")
        text = path.read_bytes()
        try:
            key = load_pem_private_key(text, password=None)
            certificate = x509.load_pem_x509_certificate(text)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyUnfit(f"{path.name} is damaged; put it back from its copy.") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise KeyUnfit(f"{path.name} is not a P-256 key.")
        return DeviceCa(key, certificate)

    @property
    def certificate_pem(self) -> str:
        """What others need to know this authority by."""
        return pem(self.certificate)

    def device(
        self, device_id: str, public_key: ec.EllipticCurvePublicKey, at: datetime
    ) -> tuple[x509.Certificate, Certificate]:
        """A device's certificate for a year, and how it is kept."""
        made = self._client(device_id, public_key, at, CERTIFICATE_LIFE)
        return made, Certificate(
            serial_of(made), device_id, made.not_valid_before_utc, made.not_valid_after_utc
        )

    def client(self, name: str, at: datetime, *, life: timedelta = SERVER_LIFE) -> tuple[str, str]:
        """A new key and certificate, as PEM, for one of the league's own programs at the broker."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _key_pem(key), pem(self._client(name, key.public_key(), at, life))

    def server(self, names: Sequence[str], at: datetime) -> tuple[str, str]:
        """A new key and certificate, as PEM, for the broker. names: hosts and addresses it is reached by."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._begin("hansa-broker", key.public_key(), at, SERVER_LIFE)
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        return _key_pem(key), pem(builder.sign(self._key, SHA256()))

    def revocation_list(
        self, revoked: Iterable[Certificate], at: datetime, *, before: "RevocationList | None" = None
    ) -> str:
        """The certificates taken back before their end, as PEM (RFC 5280, section 5).

        before: the list that this one replaces. A broker that has read both takes the later one, by whole seconds, so
        that this one is later by a second at least.
        """
        updated_at, number = at - _EARLIER, 1
        if before is not None:
            updated_at, number = max(updated_at, before.updated_at + timedelta(seconds=1)), before.number + 1
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(updated_at)
            .next_update(at + CRL_LIFE)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        for one in revoked:
            assert one.revoked_at is not None, "only revoked certificates are listed"
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(int.from_bytes(one.serial, "big"))
                .revocation_date(one.revoked_at)
                .build()
            )
        return builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM).decode()

    def signed(self, certificate: x509.Certificate) -> bool:
        """Whether this authority gave the certificate out."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True

    def gave(self, text: str) -> bool:
        """Whether this authority gave out the certificate of this PEM. Errors: InvalidInput."""
        return self.signed(read_certificate(text))

    def _client(
        self, name: str, public_key: ec.EllipticCurvePublicKey, at: datetime, life: timedelta
    ) -> x509.Certificate:
        builder = self._begin(name, public_key, at, life)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return builder.add_extension(usage, critical=False).sign(self._key, SHA256())

    def _begin(
        self, name: str, public_key: ec.EllipticCurvePublicKey, at: datetime, life: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - _EARLIER)
            .not_valid_after(at + life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )


def read_request(text: str) -> ec.EllipticCurvePublicKey:
    """The key of a certificate request that its own key has signed. Errors: InvalidInput."""
    try:
        request = x509.load_pem_x509_csr(text.encode())
        key = request.public_key()
        sound = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, TypeError):
        raise _unfit("csr", "it cannot be read", "Send a PKCS#10 request as PEM") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _unfit("csr", "its key is of another kind", "Make a P-256 key")
    if not sound:
        raise _unfit("csr", "its own key did not sign it", "Sign the request with the key it names")
    return key


def read_certificate(text: str) -> x509.Certificate:
    """A certificate from its PEM; nothing of it is believed yet. Errors: InvalidInput."""
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _unfit("certificate", "it cannot be read", "Send the certificate as PEM") from None


def certificate_ends_at(text: str) -> datetime:
    """When a certificate ends. Errors: InvalidInput."""
    return read_certificate(text).not_valid_after_utc


def read_revocation_list(text: str) -> RevocationList:
    """A list that `DeviceCa.revocation_list` wrote. Errors: InvalidInput."""
    try:
        found = x509.load_pem_x509_crl(text.encode())
        number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound):
        raise _unfit("crl", "it cannot be read", "Remove the file; it is written anew") from None
    return RevocationList(
        number, found.last_update_utc, frozenset(_octets(one.serial_number) for one in found)
    )


def name_of(certificate: x509.Certificate) -> str:
    """The common name: which device it is for."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def serial_of(certificate: x509.Certificate) -> bytes:
    """The serial number as it is kept."""
    return _octets(certificate.serial_number)


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """The public key as it is kept: DER, SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem(certificate: x509.Certificate) -> str:
    """The certificate as text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def write_private(path: Path, text: str) -> None:
    """Write a file whole that only its owner may read (0600): readers see the old one or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _make(path: Path, at: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("hansa-device-ca")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _EARLIER)
        .not_valid_after(at + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_CA_USAGE, critical=True)
        .sign(key, SHA256())
    )
    text = _key_pem(key) + pem(certificate)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_private(draft, text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process made the key just now: that one counts
    finally:
        draft.unlink()


_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("No certificate can be made of this.", problems=(Problem(where, what, remedy),))
