"""The operator's files: no other user can read them, plant a link for them, or replace code by their own."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from pathlib import Path

import pytest

from deploy.local import endpoints
from deploy.local.data import files
from deploy.local.data.lock import DataLock
from deploy.local.errors import StackError
from deploy.local.setup.cache import cache_dir
from services.dispatch.planning.search import compile
from services.dispatch.planning.search.kernel import jit


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def open_umask() -> object:
    """The least careful umask there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_private_file_is_no_longer_written_through_a_planted_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.touch(0o644)
    # Both names that a draft could have: the old one, of the pid, and a new one that somebody guessed.
    (tmp_path / f".secrets.json.{os.getpid()}").symlink_to(theirs)
    files.write_private(tmp_path / "secrets.json", "token")
    assert theirs.read_text() == ""
    assert mode(tmp_path / "secrets.json") == 0o600
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    (tmp_path / ".secrets.json.guessed").symlink_to(theirs)
    with pytest.raises(FileExistsError):
        files.write_private(tmp_path / "secrets.json", "other token")
    assert theirs.read_text() == ""
    assert (tmp_path / "secrets.json").read_text() == "token"


def test_an_open_folder_is_closed_when_it_is_taken(tmp_path: Path) -> None:
    for folder in (tmp_path / "data", tmp_path / "data" / "logs"):
        folder.mkdir(0o755)
    DataLock(tmp_path / "data").release()
    assert (mode(tmp_path / "data"), mode(tmp_path / "data" / "logs")) == (0o700, 0o700)


@pytest.mark.parametrize("bits", [0o777, 0o1777, 0o770])
def test_a_folder_that_others_can_write_in_is_refused(tmp_path: Path, bits: int) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(bits)
    with pytest.raises(StackError, match=r"other users can write in .*choose another folder with --data.*chmod go-w"):
        files.make_data_folder(tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 4711, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(StackError, match=r"belongs to another user \(uid \d+\)"):
        files.make_data_folder(tmp_path)


@pytest.mark.parametrize("links", [True, False], ids=["links", "a file system without links"])
def test_a_file_that_appeared_meanwhile_is_not_replaced(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "draft").write_text("new")
    (tmp_path / "there").write_text("old")
    with pytest.raises(FileExistsError):
        files.put_in_place(tmp_path / "draft", tmp_path / "there")
    files.put_in_place(tmp_path / "draft", tmp_path / "free")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"there": "old", "free": "new"}


def test_the_cache_is_its_owners_and_one_that_others_can_write_in_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALFDAY_CACHE", str(tmp_path / "cache"))
    assert mode(cache_dir()) == 0o700
    (tmp_path / "cache").chmod(0o775)
    with pytest.raises(StackError, match=r"other users can write in .*set HALFDAY_CACHE to your own folder"):
        cache_dir()


@pytest.mark.parametrize("opened", ["cache", "cache/kernel"])
def test_compiled_code_that_others_could_have_written_is_neither_loaded_nor_made(
    opened: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jit, "root", lambda: tmp_path / "cache")
    monkeypatch.setattr(jit, "folder", lambda: tmp_path / "cache/kernel")
    monkeypatch.setattr(sys, "argv", ["compiled"])
    monkeypatch.setattr(compile, "_compile", lambda: (jit.folder() / jit.READY).touch() or 0)
    assert compile.main() == 0
    assert mode(tmp_path / "cache") == mode(tmp_path / "cache/kernel") == 0o700
    assert jit.ready()
    (tmp_path / opened).chmod(0o777)
    assert not jit.ready()
    assert compile.main() == 1
    assert "Others can write in" in capsys.readouterr().err
    (tmp_path / opened).chmod(0o1777)  # as /tmp: nobody can replace what is ours in it
    assert jit.ready() == (opened == "cache")


def test_endpoints_are_shown_without_any_secret() -> None:
    found = {
        "version": 1,
        "kafka": {"bootstrap": "127.0.0.1:1", "security": {"username": "observer", "password": "SECRET"}},
        "postgres": {"orders": "postgresql://orders:SECRET@127.0.0.1:2/orders"},
        "http": {"orders": "http://127.0.0.1:3"},
        "operations": {"orders": "http://127.0.0.1:4"},
        "door": "http://127.0.0.1:5",
        "lan": None,
        "tokens": {"buyer": "SECRET"},
        "processes": [{"name": "kafka", "pid": 1}],
    }
    assert endpoints.without_secrets(found) == {
        "version": 1,
        "kafka": {"bootstrap": "127.0.0.1:1", "security": {"username": "observer"}},
        "postgres": {"orders": "postgresql://orders@127.0.0.1:2/orders"},
        "http": {"orders": "http://127.0.0.1:3"},
        "operations": {"orders": "http://127.0.0.1:4"},
        "door": "http://127.0.0.1:5",
        "lan": None,
        "processes": [{"name": "kafka", "pid": 1}],
    }
