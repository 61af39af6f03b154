"""The committed contracts hold; and each check, shown a planted fault, names it."""

import json
import subprocess
from pathlib import Path

import pytest

from contracts import readers
from contracts.tools import asyncapi, asyncapi_page, checks, docs
from contracts.tools.history import WORKING, NoHistory, Version, committed, is_ancestor, present
from contracts.tools.samples import samples, usual
from contracts.tools.schemas import EXAMPLES, SCHEMAS, text_of
from contracts.topics import TOPICS

PLACED, PLACED_TYPE = "orders.order-placed.v1", "market.orders.order-placed.v1"
SCHEMA = json.loads((SCHEMAS / f"{PLACED}.json").read_text("utf-8"))
EXAMPLE = json.loads((EXAMPLES / PLACED / "001.json").read_text("utf-8"))


def schema(**changes: object) -> list[Version]:
    return [Version(f"{PLACED}.json", "abc1234", json.dumps(SCHEMA | changes))]


def without(field: str) -> dict[str, object]:
    return {name: node for name, node in SCHEMA["properties"].items() if name != field}


def test_the_contracts_hold() -> None:
    found, _ = checks.everything()
    assert [str(each) for each in found] == []


def test_a_schema_is_the_same_bytes_each_time() -> None:
    assert all(text_of(model) == text_of(model) for model in checks.MODELS.values())
    assert (SCHEMAS / f"{PLACED}.json").read_text("utf-8") == text_of(checks.MODELS[PLACED_TYPE])


def test_drift_is_seen() -> None:
    versions = [v for v in present(SCHEMAS) if v.name != "orders.item-put.v1.json"]
    versions = [Version(v.name, WORKING, "{}") if v.name.startswith(PLACED) else v for v in versions]
    versions.append(Version("orders.ghost.v1.json", WORKING, "{}"))
    found = {each.where: each.message for each in checks.drift(versions)}
    assert found == {
        PLACED_TYPE: "differs from its committed schema: run `halfday contracts write`",
        "market.orders.item-put.v1": "has no schema yet: run `halfday contracts write`",
        "schemas/orders.ghost.v1.json": "no event class has this type",
    }


def test_documents_behind_the_code_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "table", lambda: "another table")
    monkeypatch.setattr(asyncapi, "text", lambda: "another document")
    assert [each.where for each in checks.drift(present(SCHEMAS))] == ["README.md", "asyncapi.yaml"]


def test_a_break_with_an_old_version_is_seen_once() -> None:
    older = {**SCHEMA["properties"], "gift_note": {"type": "string", "default": ""}}
    found = list(checks.compatible([*schema(properties=older), *schema(properties=older)]))
    assert [each.where for each in found] == [PLACED_TYPE]
    assert found[0].message.startswith("/properties/gift_note: removed;")
    assert "abc1234" in found[0].message


def test_a_type_that_went_away_is_seen() -> None:
    found = list(checks.compatible([Version("orders.ghost.v1.json", "abc1234", "{}")]))
    assert [each.message for each in found] == ["was published and has no event class any more [against abc1234]"]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        (f"{PLACED}/009.json", EXAMPLE | {"total_fen": "much"}, "does not load any more"),
        (
            f"{PLACED}/009.json",
            EXAMPLE | {"gift_note": "新年好"},
            "/gift_note was '新年好' and is None after decoding and encoding",
        ),
        (
            f"{PLACED}/009.json",
            EXAMPLE | {"channel": "drone"},
            "/channel was 'drone' and is 'unknown' after decoding and encoding",
        ),
        ("orders.ghost.v1/001.json", {}, "does not load any more"),
        ("records/009.json", {"key": "k", "headers": {}, "value": {}}, "header 'ce_time' is missing"),
    ],
)
def test_an_example_that_is_not_readable_is_seen(name: str, content: dict[str, object], text: str) -> None:
    versions = [*present(EXAMPLES), Version(name, "abc1234", json.dumps(content))]
    found = list(checks.golden(versions))
    assert [each.where for each in found] == [f"examples/{name}@abc1234"]
    assert text in found[0].message


def test_a_record_under_another_key_is_seen() -> None:
    record = json.loads((EXAMPLES / "records" / "001.json").read_text("utf-8")) | {"key": "another"}
    found = list(checks.golden([*present(EXAMPLES), Version("records/009.json", "abc1234", json.dumps(record))]))
    assert [each.message.split(" is not ")[0] for each in found] == ["key or subject"]


def test_a_type_without_example_is_seen() -> None:
    found = list(checks.golden([v for v in present(EXAMPLES) if not v.name.startswith(PLACED)]))
    assert [(each.where, "has no example" in each.message) for each in found] == [(PLACED_TYPE, True)]


def test_a_record_of_today_that_an_old_reader_refuses_is_seen() -> None:
    old = {**SCHEMA["properties"], "total_fen": {"type": "integer", "maximum": 100_000}}
    found = list(checks.sampled(schema(properties=old)))
    assert [each.where for each in found] == [PLACED_TYPE]
    assert "$.total_fen" in found[0].message
    assert not list(checks.sampled(schema()))


def test_samples_reach_the_edges() -> None:
    least, everyday, most = samples(SCHEMA)
    assert set(least) == set(SCHEMA["required"])
    assert set(everyday) == set(most) == set(SCHEMA["properties"])
    assert [len(each["lines"]) for each in (least, everyday, most)] == [0, 1, 2]
    assert everyday == usual(SCHEMA)
    with pytest.raises(ValueError, match="no sample text"):
        usual({"type": "string", "pattern": "^never seen$"})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({PLACED: ["order", "lines.weight"]}, "field `lines.weight`, which does not exist"),
        ({"orders.ghost.v1": ["order"]}, "which does not exist"),
        ({"inventory.lot-received.v1": ["lot"]}, "inventory.lot.v1 is not for it"),
    ],
)
def test_a_reader_of_what_is_not_there_is_named(given: readers.Reads, text: str) -> None:
    (found,) = checks.consumed([], {"inventory": given})
    assert found.where == "consumers/inventory.yaml"
    assert found.message.startswith("inventory reads")
    assert text in found.message


def test_a_reader_of_what_was_loosened_is_named() -> None:
    old = schema(required=[*SCHEMA["required"], "basket"])
    (found,) = checks.consumed(old, {"inventory": {PLACED: ["basket", "attempt", "lines.item"]}})
    assert found.message == f"inventory reads `{PLACED}` field `basket` and counts on it, but it is optional now"


def test_a_list_that_is_no_list_names_its_line() -> None:
    text = "# head\n\norders.item-put.v1:\n  - id # why\n  - unit\n"
    assert readers.reads(text) == {"orders.item-put.v1": ["id", "unit"]}
    for wrong in ("- id", "type: [a]", "  - id"):
        with pytest.raises(ValueError, match="line 1 is neither"):
            readers.reads(wrong)


def test_every_topic_and_type_stands_in_both_documents() -> None:
    for text in (docs.table(), asyncapi.text()):
        assert all(topic.name in text for topic in TOPICS)
        assert all(model.TYPE.removeprefix("market.") in text for model in checks.MODELS.values())
    with pytest.raises(ValueError, match="markers"):
        docs.written("# no markers")


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = asyncapi.document()
    refs = [ref for ref in _values(document, "$ref") if ref.startswith("#/")]
    assert refs
    for ref in refs:
        node = document
        for part in ref.removeprefix("#/").split("/"):
            node = node[part]
    assert all((SCHEMAS.parent / ref).exists() for ref in _values(document, "$ref") if ref.startswith("./"))


def _values(node: object, key: str) -> list[str]:
    if isinstance(node, dict):
        found = [node[key]] if key in node else []
        return found + [each for value in node.values() for each in _values(value, key)]
    return [each for value in node for each in _values(value, key)] if isinstance(node, list) else []


def git(folder: Path, *args: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false")
    return subprocess.run(("git", *who, *args), cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_history_has_every_version_deleted_ones_too(tmp_path: Path) -> None:
    folder = tmp_path / "a b" / "schemas"
    folder.mkdir(parents=True)
    git(tmp_path, "init")
    commits = []
    for name, text in [("old.json", "0"), ("x.json", "1"), ("x.json", "2"), ("红.json", "3\n\n"), ("no.txt", "4")]:
        (folder / name).write_text(text, "utf-8")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-m", name)
        commits.append(git(tmp_path, "rev-parse", "HEAD"))
        (folder / "old.json").unlink(missing_ok=True)
    git(tmp_path, "rm", "-r", ".")
    git(tmp_path, "commit", "-m", "all gone")
    folder.mkdir(parents=True)
    later = [("x.json", "1"), ("x.json", "2"), ("红.json", "3\n\n")]
    assert sorted((v.name, v.text) for v in committed(folder, commits[0])) == [("old.json", "0"), *later]
    assert sorted((v.name, v.text) for v in committed(folder, commits[1])) == later
    assert sorted((v.name, v.text) for v in committed(folder, commits[2])) == later[1:]
    assert is_ancestor(folder, commits[0])
    assert not is_ancestor(folder, "0" * 40)
    assert present(folder) == []


def test_without_git_there_is_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(NoHistory, match="not a git repository"):
        is_ancestor(tmp_path, "0" * 40)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoHistory, match="git cannot be run"):
        is_ancestor(tmp_path, "0" * 40)
    monkeypatch.setattr(checks, "entries", lambda: {"orders.order.v1": "0" * 40})
    base = checks.published()
    assert [note.split(": ")[:2] for note in base.notes] == [
        ["orders.order.v1 compared with the working tree only", "git cannot be run"]
    ]
    assert len(base.schemas) == len(checks.MODELS)


def test_the_page_can_be_made_before_a_new_type_has_an_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(asyncapi_page, "EXAMPLES", tmp_path)
    assert "<pre></pre>" in asyncapi_page.text()
