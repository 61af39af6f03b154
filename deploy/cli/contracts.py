"""`halfday contracts`: checks, writes and documents the event contracts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from contracts.registry import MODELS
from contracts.tools import asyncapi, asyncapi_page, baseline, docs
from contracts.tools.baseline import entries, unstable
from contracts.tools.checks import Finding, everything
from contracts.tools.recut import recut
from contracts.tools.samples import usual
from contracts.tools.schemas import EXAMPLES, ROOT, SCHEMAS, as_text, schema_of, stem, text_of
from deploy.local.errors import StackError

app = App(
    name="contracts",
    help="Schemas, compatibility and documents of the events and of the HTTP APIs.\n\nExample: halfday contracts check",
)


@app.default
@app.command
def check(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Compare event classes and APIs with the committed files, stable topics with git's history; exit 1 on a break.

    Example: halfday contracts check --json
    """
    findings, notes = everything()
    findings = [*findings, *_outdated_openapi()]
    open_topics = [] if any(found.check == "baseline" for found in findings) else unstable()
    if as_json:
        found = [asdict(finding) for finding in findings]
        print(json.dumps({"ok": not findings, "findings": found, "unstable": open_topics, "notes": notes}))
        return 1 if findings else 0
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    for finding in findings:
        print(finding, file=sys.stderr)
    if open_topics:
        print(f"not stable yet, may be re-cut ({baseline.FILE.name} has no entry): {', '.join(open_topics)}")
    print(f"{len(MODELS)} types: " + (f"{len(findings)} findings" if findings else "contracts hold"))
    return 1 if findings else 0


@app.command
def write() -> None:
    """Write the schema of every event class, an example for each type without one, and the OpenAPI documents.

    On topics that are not stable, removed fields are also removed from the examples; examples that no longer load and
    the files of removed types are deleted.

    Example: halfday contracts write
    """
    texts: dict[Path, str | None] = {SCHEMAS / f"{stem(type)}.json": text_of(model) for type, model in MODELS.items()}
    try:
        texts |= recut(set(entries()))
    except ValueError as wrong:
        raise StackError(str(wrong)) from wrong
    for type, model in MODELS.items():
        folder = EXAMPLES / stem(type)
        if all(texts.get(path, "") is None for path in folder.glob("*.json")):
            texts[folder / "001.json"] = as_text(usual(schema_of(model)))
    _update(texts | openapi_documents())


@app.command(name="docs")
def document() -> None:
    """Update the table in contracts/README.md, contracts/asyncapi.yaml and its page.

    Example: halfday contracts docs
    """
    try:
        readme = docs.written(docs.README.read_text("utf-8"))
    except ValueError as wrong:
        raise StackError(str(wrong)) from wrong
    _update({docs.README: readme, asyncapi.FILE: asyncapi.text(), asyncapi_page.FILE: asyncapi_page.text()})


def _outdated_openapi() -> Iterator[Finding]:
    for path, now in openapi_documents().items():
        if not path.exists() or path.read_text("utf-8") != now:
            name = str(path.relative_to(ROOT.parent))
            yield Finding("drift", name, "is out of date: run `halfday contracts write`")


def openapi_documents() -> dict[Path, str]:
    """Return the OpenAPI document of each service by its file, as the code says it."""
    from services.access.app import SERVICE as ACCESS  # heavy imports, which no other command needs
    from services.dispatch.app import SERVICE as DISPATCH
    from services.inventory.app import SERVICE as INVENTORY
    from services.kit.process import openapi
    from services.orders.app import SERVICE as ORDERS

    services = ROOT.parent / "services"
    return {services / one.name / "openapi.json": openapi.text(one) for one in (ACCESS, DISPATCH, INVENTORY, ORDERS)}


def _update(texts: Mapping[Path, str | None]) -> None:
    """Write files that differ; None removes the file, and its folder if that is empty."""
    changed = [path for path, text in texts.items() if text != (path.read_text("utf-8") if path.exists() else None)]
    for path in changed:
        text = texts[path]
        if text is None:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        print(f"{'removed' if text is None else 'wrote'} {path.relative_to(ROOT.parent)}")
    if not changed:
        print("nothing to write")
