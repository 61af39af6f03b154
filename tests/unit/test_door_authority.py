"""The root certificate of the front door, as a client that trusts it sees it: of use for this machine alone."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local.door import authority

OWN = ("192.168.1.4", "market.local")


def forged(folder: Path, host: str, *, deep: bool = False) -> Path:
    """A certificate for a host by whoever has the root's key, with its chain and key as a server takes them; `deep`:
    by way of an authority in between.
    """
    root = x509.load_pem_x509_certificate((folder / authority.CERTIFICATE).read_bytes())
    signer: ec.EllipticCurvePrivateKey = serialization.load_pem_private_key(  # type: ignore[assignment]
        (folder / authority.KEY).read_bytes(), None
    )
    chain, issuer = [], root.subject
    now = datetime.now(UTC)
    for between in (True, False) if deep else (False,):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "between")] if between else [])
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        builder = builder.not_valid_after(now + timedelta(hours=1))
        if between:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([general(host)]), critical=True)
        certificate = builder.sign(signer, hashes.SHA256())
        chain, signer, issuer = [certificate, *chain], key, subject
    pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "forged.pem"
    file.write_bytes(pem + key.private_bytes(*form))
    return file


def general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def connect(folder: Path, chain: Path, host: str) -> None:
    """Shake hands with a server that has this chain, as a client that trusts the root. Raises its error."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    client.load_verify_locations(folder / authority.CERTIFICATE)
    server.load_cert_chain(chain)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours, theirs = client.wrap_bio(back, there, server_hostname=host), server.wrap_bio(there, back, server_side=True)
    done: set[str] = set()
    while done != {"client", "server"}:
        for name, side in (("client", ours), ("server", theirs)):
            try:
                side.do_handshake()
                done.add(name)
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("host", OWN)
def test_it_vouches_for_the_names_and_addresses_of_this_machine(tmp_path: Path, host: str, deep: bool) -> None:
    authority.ensure(tmp_path, OWN)
    connect(tmp_path, forged(tmp_path, host, deep=deep), host)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("own", [OWN, OWN[:1], OWN[1:]])
@pytest.mark.parametrize("host", ["bank.example", "market.local.bank.example", "192.168.1.5", "8.8.8.8", "fd00::1"])
def test_a_stolen_key_vouches_for_no_other_site(tmp_path: Path, own: tuple[str, ...], host: str, deep: bool) -> None:
    authority.ensure(tmp_path, own)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"permitted subtree violation|excluded subtree violation"):
        connect(tmp_path, forged(tmp_path, host, deep=deep), host)


def test_it_is_kept_for_the_same_hosts_and_made_anew_for_others(tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    assert authority.ensure(folder, OWN)
    first = (folder / authority.CERTIFICATE).read_text()
    assert stat.S_IMODE((folder / authority.KEY).stat().st_mode) == 0o600
    assert not authority.ensure(folder, OWN)
    assert (folder / authority.CERTIFICATE).read_text() == first
    assert authority.ensure(folder, ("192.168.1.5", "market.local"))
    assert (folder / authority.CERTIFICATE).read_text() != first
    (folder / authority.KEY).unlink()
    assert authority.ensure(folder, ("192.168.1.5", "market.local"))


def test_one_that_ends_soon_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "LIFE", timedelta(days=80))
    assert authority.ensure(tmp_path, OWN)
    assert authority.ensure(tmp_path, OWN)
