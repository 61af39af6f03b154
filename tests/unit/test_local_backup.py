"""A data folder as one file: what is in it, and every way in which a bad one is refused."""

from __future__ import annotations

import gzip
import io
import json
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.state import TopicState, contract_state
from deploy.local import backup, contract_record, postgres
from deploy.local.errors import StackError
from deploy.local.holder import Holder

STATE = {
    contract_record.FILE: json.dumps(contract_state()).encode(),
    "secrets.json": b'{"tokens": "secret"}',
    "kafka/data/formatted": b"",
    "kafka/data/orders.order.v1-0/00000000000000000000.log": b"\x00records" * 40_000,
    "postgres/data/PG_VERSION": f"{postgres.version()}\n".encode(),
    "postgres/data/base/1/1259": bytes(range(256)) * 500,
}
OF_A_RUN = ("lock", "endpoints.json", "pids/orders.api", "logs/kafka.log", "kafka/pid", "postgres/data/postmaster.pid")


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
    assert backup.restore(tmp_path / "b.tar.gz", tmp_path / "new") == made
    assert files(tmp_path / "new") == STATE
    # PostgreSQL starts on no folder that others can read, and on none that lacks an empty folder of its own.
    assert stat.S_IMODE((tmp_path / "new/postgres/data").stat().st_mode) == 0o700
    assert (tmp_path / "new/postgres/data/pg_tblspc").is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"half day", "b.tar.gz", "new"}


def test_any_tar_can_list_it(data: Path, tmp_path: Path) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        names = tar.getnames()
    assert (names[0], names[-1]) == (backup.LABEL, backup.MANIFEST)
    assert set(STATE) < set(names)


def test_a_running_stack_is_not_backed_up(data: Path, tmp_path: Path) -> None:
    holder = Holder(data)
    with pytest.raises(StackError, match=r"already runs on .*halfday down"):
        backup.write(data, tmp_path / "b.tar.gz")
    holder.release()
    assert not list(tmp_path.glob("*b.tar.gz*"))


@pytest.mark.parametrize(
    ("folder", "file", "words"),
    [
        ("nowhere", "b.tar.gz", "holds no state of a stack: secrets.json, kafka/data/formatted"),
        ("half day", "half day/b.tar.gz", "outside of"),
        ("half day", "half day/secrets.json", "is there already"),
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


def repacked(change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> Callable[..., None]:
    """A damage: every member goes through `change`, which gives None for one that is to be dropped."""

    def damage(file: Path) -> None:
        packed = io.BytesIO()
        with tarfile.open(file) as old, tarfile.open(fileobj=packed, mode="w:gz") as new:
            for member in old:
                content = old.extractfile(member)
                if found := change(member, content.read() if content else b""):
                    found[0].size = len(found[1])
                    new.addfile(found[0], io.BytesIO(found[1]))
        file.write_bytes(packed.getvalue())

    return damage


def relabelled(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == backup.LABEL:
        content = json.dumps(json.loads(content) | {"postgres": "17"}).encode()
    return member, content


def led_out(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == "secrets.json":
        member.name = "../out"
    return member, content


def linked(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == "secrets.json":
        member.type, member.linkname, content = tarfile.SYMTYPE, "/etc", b""
    return member, content


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2000])


def flipped(file: Path) -> None:
    """One bit of gzip's checksum; elsewhere a bit may unpack to the same bytes, for a run of zeros has many codes."""
    packed = bytearray(file.read_bytes())
    packed[-6] ^= 1
    file.write_bytes(packed)


DAMAGES = {
    "cut": (cut, "no whole backup"),
    "one bit": (flipped, "no whole backup"),
    "a file changed": (repacked(lambda m, c: (m, c[:-1] + b"?" if m.name == "secrets.json" else c)), "is damaged"),
    "a file dropped": (repacked(lambda m, c: None if m.name == "secrets.json" else (m, c)), "is damaged"),
    "no list": (repacked(lambda m, c: None if m.name == backup.MANIFEST else (m, c)), "list of digests is missing"),
    "no label": (repacked(lambda m, c: None if m.name == backup.LABEL else (m, c)), "is no backup"),
    "another version": (repacked(relabelled), "made with postgres 17; this Halfday has"),
    "a way out": (repacked(led_out), "lies outside of the folder"),
    "a link": (repacked(linked), "neither a file nor a folder"),
    "a text": (lambda file: file.write_text("hello"), "no whole backup"),
    "another archive": (lambda file: file.write_bytes(gzip.compress(b"hello")), "no whole backup"),
    "not there": (lambda file: file.unlink(), "can't be restored to .*: No such file"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_bad_file_is_refused_and_leaves_nothing(name: str, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    backup.write(data, file)
    damage, words = DAMAGES[name]
    damage(file)
    before = {path for path in tmp_path.iterdir() if path != file}
    with pytest.raises(StackError, match=words):
        backup.restore(file, tmp_path / "new")
    assert {path for path in tmp_path.iterdir() if path != file} == before


def test_a_backup_of_another_contract_state_is_refused_and_leaves_nothing(data: Path, tmp_path: Path) -> None:
    made = contract_state() | {"orders.order.v1": TopicState("another digest", None)}
    (data / contract_record.FILE).write_text(json.dumps(made))
    backup.write(data, tmp_path / "b.tar.gz")
    words = r"b\.tar\.gz holds data of another contract state \(orders\.order\.v1\); restore it with the version"
    with pytest.raises(StackError, match=words):
        backup.restore(tmp_path / "b.tar.gz", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(data: Path, tmp_path: Path) -> None:
    backup.write(data, tmp_path / "b.tar.gz")
    with pytest.raises(StackError, match="is there already, and a restore overwrites nothing"):
        backup.restore(tmp_path / "b.tar.gz", data)
    assert files(data).items() > STATE.items()
