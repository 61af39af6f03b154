"""The installer: pip's settings carried over to uv, and pip where uv can't be had."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from deploy.local.setup import install


def test_settings_of_pip_are_read_as_pip_ranks_them() -> None:
    listed = "\n".join(
        (
            ":env:.index-url='https://env.example/simple'",
            ":env:.default-timeout='180'",
            "global.index-url='https://global.example/simple'",
            "global.cert='/etc/company.pem'",
            "install.cert='/etc/install.pem'",
            "freeze.timeout='5'",
        )
    )
    assert install.pip_settings(listed) == {
        "index-url": "https://env.example/simple",
        "timeout": "180",
        "cert": "/etc/install.pem",
    }


def test_what_pip_lists_here_can_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://u:p%%40ss@one.example/simple\nextra-index-url =\n  https://two.example\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    command = [sys.executable, "-m", "pip", "config", "list"]
    found = install.pip_settings(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    environment = install.uv_environment(found, {})
    assert environment["UV_DEFAULT_INDEX"] in (
        "https://u:p%40ss@one.example/simple",
        "https://u:p%%40ss@one.example/simple",
    )
    assert environment["UV_INDEX"] == "https://two.example"


def test_uv_uses_the_indexes_certificates_and_proxy_of_pip(tmp_path: Path) -> None:
    pip = {
        "index-url": "https://company.example/simple",
        "extra-index-url": "https://a.example\nhttps://b.example",
        "find-links": f"{tmp_path} /nowhere https://links.example",
        "trusted-host": "company.example",
        "no-index": "true",
        "cert": str(tmp_path / "company.pem"),
        "proxy": "http://proxy.example:3128",
    }
    found = install.uv_environment(pip, {"HTTPS_PROXY": "http://other.example", "SSL_CERT_FILE": "/other.pem"})
    assert found == {
        "UV_DEFAULT_INDEX": "https://company.example/simple",
        "UV_INDEX": "https://a.example https://b.example",
        "UV_FIND_LINKS": f"{tmp_path},https://links.example",
        "UV_INSECURE_HOST": "company.example",
        "UV_NO_INDEX": "1",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_SYSTEM_CERTS": "true",
        "SSL_CERT_FILE": str(tmp_path / "company.pem"),
        "HTTP_PROXY": "http://proxy.example:3128",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "http_proxy": "http://proxy.example:3128",
        "https_proxy": "http://proxy.example:3128",
    }


def test_uvs_own_settings_win_and_a_bundle_for_requests_is_used() -> None:
    given = {"UV_DEFAULT_INDEX": "https://mine.example", "REQUESTS_CA_BUNDLE": "/company.pem"}
    found = install.uv_environment({"index-url": "https://pip.example"}, given)
    assert found["UV_DEFAULT_INDEX"] == "https://mine.example"
    assert found["SSL_CERT_FILE"] == "/company.pem"


def wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    """Write a wheel of that name into the folder; return its line of a hash-checked list."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-1.0.dist-info"
    meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    files = files | {f"{info}/METADATA": meta, f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n"}
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            entry = zipfile.ZipInfo(inside)
            entry.external_attr = 0o100755 << 16  # so that a script can be run
            archive.writestr(entry, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{inside},,\n" for inside in (*files, f"{info}/RECORD")))
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment of its own, with pip."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.mark.parametrize(
    ("uv", "says", "tiny_there"),
    [
        ("#!/bin/sh\n", "", False),  # this uv installs nothing, so nothing else may
        ("#!/bin/sh\nexit 1\n", "uv could not install the packages, so pip tries", True),
        ("#!/no/such/interpreter\n", "uv could not install the packages, so pip tries", True),
        (None, "uv can't be installed here, so pip installs", True),
    ],
)
def test_pip_installs_where_uv_cannot(
    uv: str | None, says: str, tiny_there: bool, tmp_path: Path, python: Path
) -> None:
    wheels, script = tmp_path / "wheels", tmp_path / "deploy" / "local" / "setup" / "install.py"
    script.parent.mkdir(parents=True)
    shutil.copy(install.__file__, script)
    (tmp_path / "requirements.txt").write_text(wheel(wheels, "tiny", {"tiny.py": ""}))
    line = wheel(wheels, "uv", {"uv-1.0.data/scripts/uv": uv or ""})
    (tmp_path / install.UV_LIST).write_text(line if uv else line.replace("uv==1.0", "uv==2.0"))
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    done = subprocess.run(
        [python, "-I", script, "requirements.txt"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stderr
    assert re.search(r"About \d+ MB are fetched", done.stderr)
    there = subprocess.run([python, "-c", "import tiny"], capture_output=True, check=False).returncode == 0
    assert there == tiny_there
    digest = hashlib.sha256((tmp_path / "requirements.txt").read_bytes()).hexdigest()
    assert Path(python.parents[1], "requirements.txt.stamp").read_text() == digest
    subprocess.run([python, "-m", "pip", "uninstall", "-q", "-y", "tiny", "uv"], check=True, capture_output=True)


def test_a_package_that_differs_from_its_hash_is_not_installed(tmp_path: Path, python: Path) -> None:
    wheels, script = tmp_path / "wheels", tmp_path / "deploy" / "local" / "setup" / "install.py"
    script.parent.mkdir(parents=True)
    shutil.copy(install.__file__, script)
    line = wheel(wheels, "other", {"other.py": ""})
    (tmp_path / "other.txt").write_text(line[:-3] + "00\n")
    (tmp_path / install.UV_LIST).write_text(line.replace("other", "uv"))
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    done = subprocess.run(
        [python, "-I", script, "other.txt"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not Path(python.parents[1], "other.txt.stamp").exists()
