"""`baseline.json`: a topic with an entry keeps its promises from that commit on; one without may be re-cut."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from contracts.tools import baseline, checks, recut
from contracts.tools.checks import Finding, published
from contracts.tools.schemas import EXAMPLES, ROOT, SCHEMAS
from deploy.cli import contracts as command
from deploy.local.errors import StackError

PLACED, PLACED_TYPE = "orders.order-placed.v1", "market.orders.order-placed.v1"


class Project:
    """A copy of the contracts' files in a git repository of its own, which the tools read instead of ours."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.schemas, self.examples, self.baseline = root / "schemas", root / "examples", root / "baseline.json"
        shutil.copytree(SCHEMAS, self.schemas)
        shutil.copytree(EXAMPLES, self.examples)
        for module in (baseline, checks, recut, command):
            for name, path in (("ROOT", root), ("SCHEMAS", self.schemas), ("EXAMPLES", self.examples)):
                patch.setattr(module, name, path, raising=False)
        for document in ROOT.parent.glob("services/*/openapi.json"):
            copy = root.parent / document.relative_to(ROOT.parent)
            copy.parent.mkdir(parents=True)
            shutil.copy(document, copy)
        patch.setattr(recut, "RECORDS", self.examples / "records")
        patch.setattr(baseline, "FILE", self.baseline)
        self.stable({})
        self.git("init", "-q", "-b", "main")

    def git(self, *args: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false")
        done = subprocess.run(("git", *who, *args), cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        return self.git("rev-parse", "HEAD")

    def stable(self, entries: object) -> None:
        self.baseline.write_text(json.dumps(entries), "utf-8")

    def breaking(self) -> None:
        """Publish an older `order-placed` with one field more than today's class."""
        path = self.schemas / f"{PLACED}.json"
        old = json.loads(path.read_text("utf-8"))
        old["properties"]["gift_note"] = {"type": "string", "default": ""}
        path.write_text(json.dumps(old), "utf-8")

    def today(self) -> None:
        for ours, theirs in ((SCHEMAS, self.schemas), (EXAMPLES, self.examples)):
            shutil.copytree(ours, theirs, dirs_exist_ok=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path / "contracts", monkeypatch)


def found() -> list[Finding]:
    versions = published()
    return [*checks.compatible(versions.schemas), *checks.golden(versions.examples)]


def test_a_break_of_a_stable_topic_is_refused_and_of_another_passes(project: Project) -> None:
    project.breaking()
    since = project.commit()
    project.today()
    project.commit()
    assert found() == []
    project.stable({"orders.stall.v1": since})
    assert found() == []
    project.stable({"orders.order.v1": since})
    (finding,) = found()
    assert finding.where == PLACED_TYPE
    assert finding.message.startswith("/properties/gift_note: removed;")


def test_what_was_cut_before_the_baseline_does_not_count(project: Project) -> None:
    project.breaking()
    (project.examples / PLACED / "009.json").write_text("{}")
    project.commit()
    project.today()
    (project.examples / PLACED / "009.json").unlink()
    project.stable({"orders.order.v1": project.commit()})
    project.commit()
    assert found() == []


def test_a_stable_type_that_is_gone_is_refused_with_its_examples(project: Project) -> None:
    schema = json.loads((project.schemas / f"{PLACED}.json").read_text("utf-8"))
    (project.schemas / "orders.order-lent.v1.json").write_text(json.dumps(schema))
    (project.examples / "orders.order-lent.v1").mkdir()
    (project.examples / "orders.order-lent.v1" / "001.json").write_text("{}")
    since = project.commit()
    shutil.rmtree(project.examples / "orders.order-lent.v1")
    (project.schemas / "orders.order-lent.v1.json").unlink()
    project.commit()
    assert found() == []
    project.stable({"orders.order.v1": since})
    assert [each.message.split(" [")[0] for each in found()] == [
        "was published and has no event class any more",
        "does not load any more: no model for type 'market.orders.order-lent.v1'",
    ]


def test_an_example_of_a_stable_topic_is_readable_for_ever(project: Project) -> None:
    path = project.examples / PLACED / "001.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"gift_note": "新年好"}), "utf-8")
    since = project.commit()
    project.today()
    project.commit()
    project.stable({"orders.order.v1": since})
    assert [each.message for each in found()] == ["/gift_note was '新年好' and is None after decoding and encoding"]


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({"orders.order.v1": "0" * 40}, "is not in the history of HEAD"),
        ({"orders.order.v1": "v1.0"}, "expected the 40 hex digits"),
        ({"orders.ghost.v1": "0" * 40}, "'orders.ghost.v1' is no topic with event types"),
        (["orders.order.v1"], "expected a JSON object of topic -> commit"),
    ],
)
def test_an_entry_that_says_nothing_is_a_finding_in_words(project: Project, entries: object, text: str) -> None:
    project.commit()
    project.stable(entries)
    (finding,), _ = checks.everything()
    assert finding.where == "baseline.json"
    assert text in finding.message
    assert command.check() == 1


def test_a_commit_beside_the_history_does_not_count(project: Project) -> None:
    project.commit()
    project.git("checkout", "-q", "-b", "aside")
    aside = project.commit()
    project.git("checkout", "-q", "main")
    project.git("commit", "-q", "--allow-empty", "-m", "another")
    project.stable({"orders.order.v1": aside})
    with pytest.raises(ValueError, match="is not in the history of HEAD"):
        published()


def test_a_shallow_clone_says_what_it_could_not_compare(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = project.commit()
    project.stable({"orders.order.v1": since})
    project.commit()
    project.git("clone", "-q", "--depth=1", f"file://{project.root}", str(tmp_path / "clone"))
    monkeypatch.setattr(baseline, "ROOT", tmp_path / "clone")
    (note,) = published().notes
    assert note.startswith("orders.order.v1 compared with the working tree only: this clone is shallow")
    assert "git fetch --unshallow" in note


def test_the_check_names_the_topics_that_are_not_stable(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.stable({"orders.order.v1": project.commit()})
    assert command.check() == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if each.startswith("not stable yet")]
    assert "orders.stall.v1" in line
    assert "orders.order.v1" not in line
    command.check(as_json=True)
    assert "orders.stall.v1" in json.loads(capsys.readouterr().out)["unstable"]


def test_a_recut_takes_gone_fields_and_types_out_of_the_files(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path, record = project.examples / PLACED / "001.json", project.examples / "records" / "001.json"
    before, before_record = json.loads(path.read_text("utf-8")), json.loads(record.read_text("utf-8"))
    path.write_text(json.dumps(before | {"gift_note": "新年好"}), "utf-8")
    value = before_record["value"] | {"gift_note": "新年好"}
    record.write_text(json.dumps(before_record | {"value": value}), "utf-8")
    unreadable = project.examples / "orders.village-put.v1" / "001.json"
    unreadable.write_text("{}")
    gone = project.schemas / "orders.order-lent.v1.json", project.examples / "orders.order-lent.v1" / "001.json"
    gone[1].parent.mkdir()
    for each in gone:
        each.write_text("{}")
    command.write()
    assert capsys.readouterr().out.count("removed ") == 2
    assert json.loads(path.read_text("utf-8")) == before
    assert json.loads(record.read_text("utf-8")) == before_record
    assert "lat" in json.loads(unreadable.read_text("utf-8"))
    assert not any(each.exists() for each in (*gone, gone[1].parent))
    assert found() == []
    command.write()
    assert capsys.readouterr().out == "nothing to write\n"


def test_nothing_of_a_stable_topic_is_taken_out(project: Project) -> None:
    path = project.examples / PLACED / "001.json"
    path.write_text("{}")
    project.stable({"orders.order.v1": project.commit()})
    command.write()
    assert path.read_text("utf-8") == "{}"
    project.stable([])
    with pytest.raises(StackError, match=r"baseline\.json is"):
        command.write()
