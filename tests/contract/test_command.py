"""`halfday contracts`: its exit code is the verdict, its messages name the remedy, its JSON has the same content."""

import json
import sys
from pathlib import Path

import pytest

from contracts.tools import checks, docs, recut
from contracts.tools.baseline import unstable
from contracts.tools.history import Version
from deploy.cli import contracts as command
from deploy.local.errors import StackError

FINDING = checks.Finding("drift", "market.orders.order-placed.v1", "differs")


def test_contracts_that_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.check() == 0
    assert capsys.readouterr().out.endswith("types: contracts hold\n")


def test_contracts_that_do_not(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "everything", lambda: ([FINDING], ["git cannot be run"]))
    assert command.check() == 1
    shown = capsys.readouterr()
    assert shown.err == "note: git cannot be run\nmarket.orders.order-placed.v1: differs (drift)\n"
    assert command.check(as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "findings": [{"check": "drift", "where": FINDING.where, "message": "differs"}],
        "unstable": unstable(),
        "notes": ["git cannot be run"],
    }


def test_nothing_is_written_twice(capsys: pytest.CaptureFixture[str]) -> None:
    command.write()
    command.document()
    assert capsys.readouterr().out == "nothing to write\nnothing to write\n"


def test_what_is_missing_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in (command, recut):
        for name in ("SCHEMAS", "EXAMPLES"):
            monkeypatch.setattr(module, name, tmp_path / "contracts" / name.lower())
    monkeypatch.setattr(command, "ROOT", tmp_path / "contracts")
    command.write()
    assert "wrote contracts/schemas/orders.order-placed.v1.json" in capsys.readouterr().out
    for type, model in checks.MODELS.items():
        (example,) = (tmp_path / "contracts" / "examples" / type.removeprefix("market.")).glob("*.json")
        assert checks.decode(type, example.read_bytes()).TYPE == model.TYPE


def test_a_readme_without_markers_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(docs, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("# bare")
    with pytest.raises(StackError, match="lacks its markers"):
        command.document()


def test_a_broken_file_is_a_finding_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Version("orders.order-placed.v1.json", "abc1234", "<<<<<<<")
    monkeypatch.setattr(checks, "published", lambda: checks.Published([broken], []))
    found, _ = checks.everything()
    assert {each.check for each in found if "orders.order-placed.v1.json@abc1234 is no JSON" in each.message} == {
        "compatible",
        "consumed",
        "sampled",
    }


def test_a_check_that_could_not_be_made_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    found, notes = checks.everything()
    assert found == []
    assert any("jsonschema" in note for note in notes)
