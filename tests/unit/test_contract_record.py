"""A data folder of another contract state is refused with a sentence; what fits is not."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from contracts import state
from contracts.state import TopicState, contract_state, differing
from deploy.local.data import contract_record
from deploy.local.errors import StackError
from deploy.local.stack import Stack

TOPIC, SCHEMA = "orders.order.v1", "schemas/orders.order-placed.v1.json"


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the committed contracts that a test may change."""
    copy = tmp_path / "contracts"
    shutil.copytree(state._ROOT / "schemas", copy / "schemas")
    (copy / "baseline.json").write_text("{}")
    monkeypatch.setattr(state, "_ROOT", copy)
    return copy


def edit(path: Path, **properties: object) -> None:
    """Changes the schema's properties; None takes one out."""
    schema = json.loads(path.read_text("utf-8"))
    merged = schema["properties"] | properties
    schema["properties"] = {name: value for name, value in merged.items() if value is not None}
    path.write_text(json.dumps(schema), "utf-8")


def stable(contracts: Path, commit: str) -> None:
    (contracts / "baseline.json").write_text(json.dumps({TOPIC: commit}))


def with_data(folder: Path) -> Path:
    (folder / "kafka/data").mkdir(parents=True)
    (folder / "kafka/data/formatted").touch()
    return folder


def test_a_changed_schema_makes_another_state_and_a_changed_text_does_not(contracts: Path) -> None:
    made = contract_state()
    schema = json.loads((contracts / SCHEMA).read_text("utf-8"))
    (contracts / SCHEMA).write_text(json.dumps(schema | {"description": "in other words"}))
    assert contract_state() == made
    edit(contracts / SCHEMA, basket=None)
    assert differing(made, contract_state()) == [TOPIC]


def test_a_type_more_or_less_of_an_unstable_topic_makes_another_state(contracts: Path) -> None:
    made = contract_state()
    (contracts / SCHEMA).unlink()
    assert differing(made, contract_state()) == [TOPIC]
    assert differing(contract_state(), made) == [TOPIC]


def test_an_additive_change_of_a_stable_topic_fits(contracts: Path) -> None:
    stable(contracts, "a" * 40)
    made = contract_state()
    edit(contracts / SCHEMA, gift_note={"type": "string", "default": ""})
    assert contract_state() != made
    assert differing(made, contract_state()) == []


def test_a_topic_may_become_stable_as_it_is(contracts: Path) -> None:
    made = contract_state()
    stable(contracts, "a" * 40)
    assert differing(made, contract_state()) == []
    edit(contracts / SCHEMA, basket=None)
    assert differing(made, contract_state()) == [TOPIC]


def test_topics_come_and_go() -> None:
    one, more = {"a": TopicState("1", None)}, {"a": TopicState("1", None), "b": TopicState("2", None)}
    assert differing(one, more) == ["b"]
    assert differing(more, one) == ["b"]
    assert differing(one, one | {"b": TopicState("2", "c0ffee")}) == []


def test_a_new_folder_gets_its_record_and_its_data_is_taken_again(tmp_path: Path, contracts: Path) -> None:
    data = tmp_path / "data"
    contract_record.check_and_record(data)
    assert stat.S_IMODE((data / contract_record.FILE).stat().st_mode) == 0o600
    with_data(data)
    contract_record.check_and_record(data)
    edit(contracts / SCHEMA, basket=None)
    before = (data / contract_record.FILE).read_text()
    with pytest.raises(
        StackError, match=r"data of another contract state \(orders\.order\.v1\); continue with the version"
    ):
        contract_record.check_and_record(data)
    assert (data / contract_record.FILE).read_text() == before


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "has data from before contract states were recorded"),
        ("{", "is damaged, so its contract state is unknown"),
        ('{"orders.order.v1": 7}', "is damaged"),
    ],
)
def test_data_without_a_record_that_can_be_read_is_refused(tmp_path: Path, record: str | None, words: str) -> None:
    data = with_data(tmp_path / "data")
    if record is not None:
        (data / contract_record.FILE).write_text(record)
    with pytest.raises(StackError, match=words):
        contract_record.check(data)


def test_a_stack_does_not_start_on_it_and_lets_it_go(tmp_path: Path) -> None:
    data = with_data(tmp_path / "data")
    for _ in range(2):
        with pytest.raises(StackError, match=r"has data from before .* start with a new folder \(--data NEW-FOLDER\)"):
            Stack(data).start()
    assert not (data / "secrets.json").exists()
