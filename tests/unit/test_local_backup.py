"""A data folder as one file: what is in it, and every way in which a bad one is refused."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.state import TopicState, contract_state
from deploy.local.commands import backup, manifest, signing
from deploy.local.commands import restore as module
from deploy.local.commands.restore import restore
from deploy.local.data import contract_record
from deploy.local.data.lock import DataLock
from deploy.local.errors import StackError
from deploy.local.postgres import server

STATE = {
    contract_record.FILE: json.dumps(contract_state()).encode(),
    "secrets.json": b'{"tokens": "secret"}',
    "kafka/data/formatted": b"",
    "kafka/data/orders.order.v1-0/00000000000000000000.log": b"\x00records" * 40_000,
    "postgres/data/PG_VERSION": f"{server.version()}\n".encode(),
    "postgres/data/base/1/1259": bytes(range(256)) * 500,
}
OF_A_RUN = (
    "door/authority/root.key",
    "lock",
    "endpoints.json",
    "pids/orders.api",
    "logs/kafka.log",
    "kafka/pid",
    "postgres/data/postmaster.pid",
)


@pytest.fixture(autouse=True)
def account(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that has no key yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that looks like that of a stopped stack, with what a run leaves lying about."""
    folder = tmp_path / "half day"
    for name, content in STATE.items() | {(name, b"x") for name in OF_A_RUN}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "postgres/data/pg_tblspc").mkdir()
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_restored_is_what_was_there_but_for_the_run(data: Path, tmp_path: Path) -> None:
    made = backup.write(data, tmp_path / "b.tar.gz")
    assert (made.files, made.bytes) == (len(STATE), sum(map(len, STATE.values())))
    assert stat.S_IMODE((tmp_path / "b.tar.gz").stat().st_mode) == 0o600
    assert restore(tmp_path / "b.tar.gz", tmp_path / "new") == made
    assert files(tmp_path / "new") == STATE
    # PostgreSQL starts on no folder that others can read, and on none that lacks an empty folder of its own.
    assert stat.S_IMODE((tmp_path / "new/postgres/data").stat().st_mode) == 0o700
    assert (tmp_path / "new/postgres/data/pg_tblspc").is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"half day", "b.tar.gz", "new"}


def test_any_tar_can_list_it(data: Path, tmp_path: Path) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        names = tar.getnames()
    assert names[:2] == [manifest.NAME, manifest.SIGNATURE]
    assert set(STATE) < set(names)


def test_a_running_stack_is_not_backed_up(data: Path, tmp_path: Path) -> None:
    lock = DataLock(data)
    with pytest.raises(StackError, match=r"already runs on .*halfday down"):
        backup.write(data, tmp_path / "b.tar.gz")
    lock.release()
    assert not list(tmp_path.glob("*b.tar.gz*"))


@pytest.mark.parametrize(
    ("folder", "file", "words"),
    [
        ("nowhere", "b.tar.gz", "has no state of a stack: secrets.json, kafka/data/formatted"),
        ("half day", "half day/b.tar.gz", "outside of"),
        ("half day", "half day/secrets.json", "exists; choose a new file"),
        ("half day", "no/such/folder/b.tar.gz", "can't be written: No such file"),
    ],
)
def test_what_cannot_be_backed_up_is_a_sentence(folder: str, file: str, words: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=words):
        backup.write(tmp_path / folder, tmp_path / file)
    assert not (tmp_path / "nowhere").exists()


def test_a_link_is_refused_not_followed(data: Path, tmp_path: Path) -> None:
    (data / "postgres/data/pg_wal").symlink_to(tmp_path)
    with pytest.raises(StackError, match="pg_wal is neither a file nor a folder"):
        backup.write(data, tmp_path / "b.tar.gz")


Members = list[tuple[tarfile.TarInfo, bytes]]


def repacked(change: Callable[[Members], Members], signed: bool = False, trailing: bytes = b"") -> Callable[..., None]:
    """A damage: all members go through `change`; `signed` signs the list again with our key, as only we can."""

    def damage(file: Path) -> None:
        with tarfile.open(file) as old:
            members = change([(member, old.extractfile(member).read() if member.isfile() else b"") for member in old])  # type: ignore[union-attr]
        if signed:
            seal = signing.sign(manifest.signed_part(members[0][1])).written()
            members[1] = (members[1][0], seal)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as new:
            for member, content in members:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
        file.write_bytes(gzip.compress(packed.getvalue() + trailing))

    return damage


def each(change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> Callable[..., Members]:
    """Changes every member, or drops it where `change` gives None."""
    return lambda members: [found for one in members if (found := change(*one))]


def listing(**more: object) -> Callable[[Members], Members]:
    """Changes the list."""
    return each(lambda m, c: (m, json.dumps(json.loads(c) | more).encode() if m.name == manifest.NAME else c))


def without(name: str) -> Callable[[Members], Members]:
    return each(lambda m, c: None if m.name == name else (m, c))


def changed(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return member, content[:-1] + b"?" if member.name == "secrets.json" else content


def led_out(members: Members) -> Members:
    """Both the list and the member lead out of the folder."""
    listed = json.loads(members[0][1])
    listed["files"]["../out"] = listed["files"].pop("secrets.json")
    for member, _ in members:
        member.name = "../out" if member.name == "secrets.json" else member.name
    return [(members[0][0], json.dumps(listed).encode()), *members[1:]]


def linked(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == "secrets.json":
        member.type, member.linkname, content = tarfile.SYMTYPE, "/etc", b""
    return member, content


def added(members: Members) -> Members:
    return [*members, (tarfile.TarInfo("postgres/data/postgresql.auto.conf"), b"archive_command = 'theirs'")]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2000])


def flipped(file: Path) -> None:
    """One bit of gzip's checksum; elsewhere a bit may unpack to the same bytes, for a run of zeros has many codes."""
    packed = bytearray(file.read_bytes())
    packed[-6] ^= 1
    file.write_bytes(packed)


def bomb(file: Path) -> None:
    """Some kilobytes that unpack to a header of a gigabyte, before anything of it could be checked."""
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    with gzip.open(file, "wb", compresslevel=9) as packed:
        packed.write(header.tobuf())
        for _ in range(64):
            packed.write(bytes(1 << 20))


DAMAGES = {
    "cut": (cut, "not a complete backup"),
    "one bit": (flipped, "not a complete backup"),
    "a file changed": (repacked(each(changed)), "is damaged: secrets.json differs"),
    "a file dropped": (repacked(without("secrets.json")), "is damaged: secrets.json of its list is missing"),
    "a file added": (repacked(added), r"is damaged: postgres/data/postgresql\.auto\.conf differs"),
    "another list": (repacked(listing(made_at="2026-01-01")), "its list differs from what was signed"),
    "no signature": (repacked(without(manifest.SIGNATURE)), "is not signed"),
    "a signature that is none": (
        repacked(each(lambda m, c: (m, b"{}" if m.name == manifest.SIGNATURE else c))), "not a complete backup",
    ),
    "no list": (repacked(without(manifest.NAME)), "is not a backup"),
    "another version": (repacked(listing(postgres="17"), signed=True), "made with postgres 17; this Halfday has"),
    "an older format": (repacked(listing(format=1), signed=True), "made with format 1; this Halfday has"),
    "a way out": (repacked(led_out, signed=True), "is outside of the folder"),
    "a link": (repacked(each(linked)), "neither a file nor a listed folder"),
    "a text": (lambda file: file.write_text("hello"), "not a complete backup"),
    "another archive": (lambda file: file.write_bytes(gzip.compress(b"hello")), "not a complete backup"),
    "a bomb": (bomb, "unpacks to more than its list"),
    "a bomb at its end": (repacked(lambda all: all, trailing=bytes(20 << 20)), "unpacks to more than its list"),
    "not there": (lambda file: file.unlink(), "can't be restored to .*: No such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_bad_file_is_refused_and_leaves_nothing(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "LONGEST", 1 << 20)  # a bomb of some megabytes is enough
    file = tmp_path / "b.tar.gz"
    backup.write(data, file)
    damage, words = DAMAGES[name]
    damage(file)
    before = {path for path in tmp_path.iterdir() if path != file}
    with pytest.raises(StackError, match=words):
        restore(file, tmp_path / "new")
    assert {path for path in tmp_path.iterdir() if path != file} == before


def another_account(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("other")))


def test_a_backup_of_another_account_is_restored_by_its_key_or_its_fingerprint_only(
    data: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, key = tmp_path / "b.tar.gz", signing.key_file()
    signer = backup.write(data, file).signed_by
    another_account(tmp_path_factory, monkeypatch)
    for _ in range(2):  # without a key of its own, and with one
        with pytest.raises(StackError) as refused:
            restore(file, tmp_path / "new")
        words = str(refused.value)
        assert f"was signed by {signer}, which is not the key of this account" in words
        assert f"copy its backup.key to {signing.key_file()}" in words
        assert words.endswith(f"--signed-by {signer}")
        signing.sign(b"")
    with pytest.raises(StackError, match=r"was signed by SHA256:.*, not by SHA256:other"):
        restore(file, tmp_path / "new", "SHA256:other")
    assert not (tmp_path / "new").exists()
    assert restore(file, tmp_path / "new", signer).signed_by == signer
    signing.key_file().write_bytes(key.read_bytes())
    assert restore(file, tmp_path / "newer").signed_by == signer


def test_what_a_stranger_forged_and_signed_is_refused_before_it_is_unpacked(
    data: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole backup with matching digests, rules that let everybody in and a command to run."""
    ours = signing.key_file().parents[1]
    (data / "postgres/data/postgresql.auto.conf").write_text("archive_command = 'touch /tmp/theirs'")
    (data / "postgres/data/pg_hba.conf").write_text("host all all all trust")
    another_account(tmp_path_factory, monkeypatch)
    backup.write(data, tmp_path / "b.tar.gz")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(ours))
    monkeypatch.setattr(module, "_write", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(StackError, match="not the key of this account, and a forged backup can run its author's code"):
        restore(tmp_path / "b.tar.gz", tmp_path / "new")


def test_a_disk_without_room_is_named_before_anything_is_unpacked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5_000_000}))
    monkeypatch.setattr(module, "_write", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(StackError, match="the disk has 5 MB free; free space, or choose a folder on another disk"):
        restore(tmp_path / "b.tar.gz", tmp_path / "new")


def test_a_file_that_appears_meanwhile_is_not_replaced(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = backup._pack
    monkeypatch.setattr(backup, "_pack", lambda *all: [pack(*all), (tmp_path / "b.tar.gz").write_text("theirs")])
    with pytest.raises(StackError, match="exists; choose a new file"):
        backup.write(data, tmp_path / "b.tar.gz")
    assert (tmp_path / "b.tar.gz").read_text() == "theirs"
    assert {path.name for path in tmp_path.iterdir()} == {"half day", "b.tar.gz"}


def test_a_file_that_changes_meanwhile_makes_no_backup(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = backup._listed
    change = (data / "postgres/data/base/1/1259").write_bytes
    monkeypatch.setattr(
        backup, "_listed", lambda folder: (listed(folder), change(bytes(range(256)) * 499 + bytes(256)))[0]
    )
    with pytest.raises(StackError, match="1259 changed while it was read"):
        backup.write(data, tmp_path / "b.tar.gz")
    assert not list(tmp_path.glob("*b.tar.gz*"))


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    assert signing.own_signer() is None
    signature = signing.sign(b"content")
    assert signature.verifies(b"content")
    assert not signature.verifies(b"other content")
    assert signing.Signature.read(signature.written()) == signature
    assert signing.sign(b"content").signer == signature.signer == signing.own_signer()
    file = signing.key_file()
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert [path.name for path in file.parent.iterdir()] == ["backup.key"]
    file.chmod(0o640)
    with pytest.raises(StackError, match=f"chmod 600 '{file}'"):
        signing.sign(b"content")
    file.chmod(0o600)
    file.write_text("no key")
    with pytest.raises(StackError, match="is not an Ed25519 key in PEM; move it away"):
        signing.sign(b"content")
    file.parent.chmod(0o777)
    with pytest.raises(StackError, match="other users can write in"):
        signing.sign(b"content")


def test_a_backup_of_another_contract_state_is_refused_and_leaves_nothing(data: Path, tmp_path: Path) -> None:
    made = contract_state() | {"orders.order.v1": TopicState("another digest", None)}
    (data / contract_record.FILE).write_text(json.dumps(made))
    backup.write(data, tmp_path / "b.tar.gz")
    words = r"b\.tar\.gz has data of another contract state \(orders\.order\.v1\); restore it with the version"
    with pytest.raises(StackError, match=words):
        restore(tmp_path / "b.tar.gz", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(data: Path, tmp_path: Path) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    with pytest.raises(StackError, match="exists, and a restore overwrites nothing"):
        restore(tmp_path / "b.tar.gz", data)
    assert files(data).items() > STATE.items()
