"""`halfday contracts`: the event contracts checked, written and documented."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from contracts.registry import MODELS
from contracts.tools import asyncapi, asyncapi_page, docs
from contracts.tools.checks import everything
from contracts.tools.samples import usual
from contracts.tools.schemas import EXAMPLES, ROOT, SCHEMAS, as_text, schema_of, stem, text_of
from deploy.local.errors import StackError

app = App(
    name="contracts", help="Schemas, compatibility and documents of the events.\n\nExample: halfday contracts check"
)


@app.default
@app.command
def check(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Compare the event classes with everything that was ever committed; exit 1 where a promise is broken.

    Example: halfday contracts check --json
    """
    findings, notes = everything()
    if as_json:
        print(json.dumps({"ok": not findings, "findings": [asdict(found) for found in findings], "notes": notes}))
        return 1 if findings else 0
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    for found in findings:
        print(found, file=sys.stderr)
    print(f"{len(MODELS)} types: " + (f"{len(findings)} findings" if findings else "contracts hold"))
    return 1 if findings else 0


@app.command
def write() -> None:
    """Write the schema of every event class, and an example for each type that has none.

    Example: halfday contracts write
    """
    texts = {SCHEMAS / f"{stem(type)}.json": text_of(model) for type, model in MODELS.items()}
    for type, model in MODELS.items():
        folder = EXAMPLES / stem(type)
        if not any(folder.glob("*.json")):
            texts[folder / "001.json"] = as_text(usual(schema_of(model)))
    _update(texts)


@app.command(name="docs")
def document() -> None:
    """Bring the table in contracts/README.md, contracts/asyncapi.yaml and its page up to date.

    Example: halfday contracts docs
    """
    try:
        readme = docs.written(docs.README.read_text("utf-8"))
    except ValueError as wrong:
        raise StackError(str(wrong)) from wrong
    _update({docs.README: readme, asyncapi.FILE: asyncapi.text(), asyncapi_page.FILE: asyncapi_page.text()})


def _update(texts: dict[Path, str]) -> None:
    changed = [path for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT.parent)}")
    if not changed:
        print("nothing to write")
