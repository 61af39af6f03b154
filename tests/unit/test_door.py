"""The front door's Caddyfile as text, its address on the local network, and its landing page."""

from __future__ import annotations

import hashlib
import re
import socket
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from deploy.local.data.options import Options
from deploy.local.data.ports import Ports, is_free
from deploy.local.door import lan
from deploy.local.door.caddyfile import SITE, DoorSettings, Listener, render
from deploy.local.door.process import settings_of
from deploy.local.errors import StackError
from deploy.local.supervisor import command

LOOPBACK = Listener("127.0.0.1", 20_001, ("127.0.0.1", "localhost"))


def settings(upstreams: dict[str, str] | None = None, folder: str = "/data/door") -> DoorSettings:
    return DoorSettings(upstreams or {"orders": "127.0.0.1:1"}, (LOOPBACK,), Path(folder))


def test_services_are_a_matter_of_the_list() -> None:
    text = render(settings({"orders": "127.0.0.1:1", "access": "access-api:8080"}))
    assert "import service orders 127.0.0.1:1 /api/orders/v1/*\n" in text
    assert "import service access access-api:8080 /api/access/.well-known/jwks.json\n" in text
    assert "for orders, access" in text
    assert "$" not in text


def test_without_a_local_network_nothing_listens_off_loopback(tmp_path: Path) -> None:
    found = settings_of(tmp_path, Ports(tmp_path), {"orders": "127.0.0.1:1"})
    text = render(found)
    assert set(re.findall(r"^\tbind (\S+)$", text, re.M)) == {"127.0.0.1"}
    assert "tls" not in text
    assert "Strict-Transport-Security" not in text
    assert found.trust is None


def test_a_local_network_has_a_listener_of_its_own_with_tls(tmp_path: Path) -> None:
    found = settings_of(tmp_path, Ports(tmp_path), {"orders": "127.0.0.1:1"}, "127.0.0.2")
    text = render(found)
    site = text[text.index("https://127.0.0.2:") :].partition("\n}")[0]
    assert "bind 127.0.0.2" in site
    assert "tls internal" in site
    assert "Strict-Transport-Security" in site
    assert "http://127.0.0.2" in text, "the page of the certificate"
    assert len({LOOPBACK.port, *(one.port for one in found.listeners)}) == 3


@pytest.mark.parametrize("name", ['half"day', "half\\day", "half{day}", "half`day", "half$day"])
def test_a_folder_that_a_caddyfile_cannot_name_is_refused(name: str) -> None:
    with pytest.raises(StackError, match="choose another with --data"):
        render(settings(folder=f"/data/{name}"))


def test_a_port_is_looked_for_on_the_address_that_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert is_free(port)
        assert not is_free(port, "127.0.0.2")


def interfaces(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    def entry(address: str) -> SimpleNamespace:
        return SimpleNamespace(family=socket.AF_INET, address=address)

    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {name: [entry(one)] for name, one in addresses.items()})
    up = {name: SimpleNamespace(isup=not name.startswith("down")) for name in addresses}
    monkeypatch.setattr(psutil, "net_if_stats", lambda: up)


def test_only_private_addresses_that_are_up_count(monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces(monkeypatch, lo="127.0.0.1", eth="192.168.1.20", vpn="8.8.8.8", down="10.0.0.1", auto="169.254.3.4")
    assert lan.addresses() == ["192.168.1.20"]
    assert lan.find_address() == "192.168.1.20"
    assert lan.check_address("192.168.1.20") == "192.168.1.20"
    for wrong in ("8.8.8.8", "10.0.0.1", "127.0.0.1", "nonsense"):
        with pytest.raises(StackError, match=r"it has: 192\.168\.1\.20"):
            lan.check_address(wrong)


def test_several_addresses_or_none_are_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces(monkeypatch, a="10.201.0.1", b="10.202.0.1")
    with pytest.raises(StackError, match=r"--lan-address: 10\.201\.0\.1, 10\.202\.0\.1"):
        lan.find_address()
    interfaces(monkeypatch, lo="127.0.0.1")
    with pytest.raises(StackError, match="no private IPv4 address"):
        lan.find_address()


@pytest.mark.parametrize(
    ("host", "names"),
    [("Market-1.example", ("10.0.0.1", "market-1.local")), ("localhost", ("10.0.0.1",)), ("半日", ("10.0.0.1",))],
)
def test_names_on_the_network(monkeypatch: pytest.MonkeyPatch, host: str, names: tuple[str, ...]) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert lan.host_names("10.0.0.1") == names


def test_a_detached_supervisor_is_told_the_address() -> None:
    assert command(Path("d"), Options(lan="10.0.0.1"))[-2:] == ["--lan", "10.0.0.1"]
    assert "--lan" not in command(Path("d"), Options())


def test_an_asset_is_named_by_its_content() -> None:
    assets = list((SITE / "assets").iterdir())
    assert assets
    for asset in assets:
        assert asset.name.split(".")[1] == hashlib.sha256(asset.read_bytes()).hexdigest()[:12]
