"""The AsyncAPI document is valid for the official parser, and its page shows all of it.

The parser exists for Node.js only; see `tests.node`.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from contracts.registry import MODELS
from contracts.tools import asyncapi, asyncapi_page
from contracts.tools.schemas import SCHEMAS, stem
from contracts.topics import TOPICS
from tests import node

HERE = Path(__file__).parent / "asyncapi"
ERROR, WARNING = 0, 1


@pytest.fixture(scope="module")
def parser() -> Path:
    """The folder with the parser."""
    return node.packages(HERE)


def parse(parser: Path, *files: Path) -> list[dict[str, Any]]:
    printed = node.run(parser, str(HERE / "parse.mjs"), *map(str, files), timeout=100)
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.timeout(900)  # the first run fetches the parser
def test_the_official_parser_reads_every_channel_and_refuses_a_broken_document(parser: Path, tmp_path: Path) -> None:
    broken = tmp_path / "asyncapi.yaml"
    broken.write_text(asyncapi.text().replace('action: "send"', 'action: "shout"').replace("./schemas/", f"{SCHEMAS}/"))
    good, bad = parse(parser, asyncapi.FILE, broken)
    assert [one for one in good["diagnostics"] if one["severity"] in (ERROR, WARNING)] == []
    by_topic: dict[str, list[str]] = {topic.name: [] for topic in TOPICS}
    for type, model in MODELS.items():
        by_topic[model.TOPIC].append(stem(type))
    for topic in by_topic:
        expected = ["dead-letter"] if topic.endswith(".dlq.v1") else sorted(by_topic[topic])
        assert good["channels"][topic] == expected
    assert good["withFields"] >= len(MODELS)
    assert bad["channels"] == {}
    assert any(one["severity"] == ERROR and one["path"].endswith("/action") for one in bad["diagnostics"])


class Seen(HTMLParser):
    """Ids, links and nesting of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.ids += [known["id"] or ""] if "id" in known else []
        self.links += [link for name in ("href", "src") if (link := known.get(name))]
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_every_channel_and_type_from_own_files_only() -> None:
    page = asyncapi_page.FILE.read_text("utf-8")
    assert page == asyncapi_page.text()
    seen = Seen()
    seen.feed(page)
    assert seen.open == []
    assert len(seen.ids) == len(set(seen.ids))
    assert {topic.name for topic in TOPICS} <= set(seen.ids)
    assert {f"{model.TOPIC}/{stem(type)}" for type, model in MODELS.items()} <= set(seen.ids)
    assert all(link.startswith("/") for link in seen.links)
    assert "<td>money in fen (1/100 yuan)</td>" in page
