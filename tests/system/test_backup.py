"""The laptop operator's bad days: the folder is lost and a backup is restored; the topics are lost and sent again."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from deploy.cli.__main__ import main
from deploy.local.stack import Stack
from tests.system.audit_day import SmallDay

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


def halfday(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """Exit code and output of a command."""
    monkeypatch.setattr(sys, "argv", ["halfday", *map(str, words)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    return int(ended.value.code or 0), shown.out + shown.err


def test_a_backup_is_restored_elsewhere_and_lost_topics_are_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "saturday.tar.gz"
    with Stack(first) as stack:
        stack.wait_ready(120)
        day = SmallDay(stack)
        day.play()
        code, said = halfday(monkeypatch, capsys, "backup", file, "--data", first)
        assert code == 1
        assert "already runs" in said
    code, signed = halfday(monkeypatch, capsys, "backup", file, "--data", first)
    assert code == 0

    with Stack(first) as stack:
        stack.wait_ready(120)
        day.endpoints = stack.endpoints()
        day.order("after", pickup=True, pay="on_account")
        day.become("after", "reserved")
    shutil.rmtree(first)

    # A new machine: without the key it is restored by its fingerprint only.
    (tmp_path / "config").rename(tmp_path / "old-config")
    code, said = halfday(monkeypatch, capsys, "restore", file, "--data", second)
    assert code == 1
    signer = said.strip().rpartition("--signed-by ")[2]
    assert signer in signed, "and the refusal names the fingerprint that the backup printed"
    assert halfday(monkeypatch, capsys, "restore", file, "--data", second, "--signed-by", signer)[0] == 0
    with Stack(second) as stack:
        stack.wait_ready(120)
        day.endpoints = stack.endpoints()
        assert "runs it, all parts ready" in halfday(monkeypatch, capsys, "doctor", "--data", second)[1]
        code, said = halfday(monkeypatch, capsys, "audit", "--data", second)
        assert code == 0, said
        assert day.state("delivered") == "delivered"
        day.order("restored", pickup=True, pay="on_account")
        day.become("restored", "reserved")
    shutil.rmtree(second / "kafka")

    with Stack(second) as stack:
        stack.wait_ready(120)
        day.endpoints = stack.endpoints()
        code, said = halfday(monkeypatch, capsys, "audit", "--data", second)
        assert code == 1
        assert "where the log has no record" in said
        code, said = halfday(monkeypatch, capsys, "audit", "--republish", "--data", second)
        assert code == 0, said
        assert "orders.catalog.v1/0: " in said
        assert "orders.recipient.v1/" in said
        day.order("resent", pickup=True, pay="on_account")
        day.become("resent", "reserved")
        assert halfday(monkeypatch, capsys, "audit", "--data", second)[0] == 0
