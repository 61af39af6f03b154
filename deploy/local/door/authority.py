"""The root certificate of the door's own authority, which can vouch for this machine's names and addresses only.

A phone that trusts a root trusts it for any site. So this one has name constraints (RFC 5280, 4.2.1.10): whoever stole
its key could pass for this machine, and for nothing else, before phones and browsers that check them, as OpenSSL, Go,
Chromium and Apple's systems do for roots too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Network, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local.data.files import write_private

NAME = "Halfday"
"""Beginning of the name under which phones list it."""
CERTIFICATE, KEY = "root.crt", "root.key"
LIFE = timedelta(days=3650)
_RENEWED_BEFORE = timedelta(days=90)
_BACKDATED = timedelta(days=1)
"""A phone's clock may be behind."""


def ensure(folder: Path, hosts: Collection[str]) -> bool:
    """Make root certificate and key in `folder`, unless they are there for exactly these hosts and don't end soon.

    Return True if they are new: phones have to trust them, and what the root before them signed is void.
    """
    now = datetime.now(UTC)
    if _is_current(folder, hosts, now):
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    folder.mkdir(exist_ok=True, mode=0o700)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    certificate = _certificate(key, hosts, now).public_bytes(serialization.Encoding.PEM)
    write_private(folder / KEY, pem.decode())
    write_private(folder / CERTIFICATE, certificate.decode())
    return True


def name_of(hosts: Iterable[str]) -> str:
    """Return the name of the root for these hosts, as phones show it."""
    return f"{NAME} {next(iter(hosts))}"


def _certificate(key: ec.EllipticCurvePrivateKey, hosts: Collection[str], now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name_of(hosts))])
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(_constraints(hosts), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _constraints(hosts: Collection[str]) -> x509.NameConstraints:
    """Return the constraints that permit these names and IPv4 addresses.

    A kind of name without a permitted one would be unlimited, so it is excluded as a whole.
    """
    permitted, excluded = [_general(host) for host in hosts], [x509.IPAddress(IPv6Network("::/0"))]
    given = {type(one) for one in permitted}
    rest: list[x509.GeneralName] = [x509.DNSName("")] if x509.DNSName not in given else []
    rest += [x509.IPAddress(ip_network("0.0.0.0/0"))] if x509.IPAddress not in given else []
    return x509.NameConstraints(permitted, [*excluded, *rest])


def _general(host: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ip_network(IPv4Address(host)))
    return x509.DNSName(host)


def _is_current(folder: Path, hosts: Collection[str], now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
        constraints = found.extensions.get_extension_for_class(x509.NameConstraints).value
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return False
    return constraints == _constraints(hosts) and found.not_valid_after_utc - now > _RENEWED_BEFORE
