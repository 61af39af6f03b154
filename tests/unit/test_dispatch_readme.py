"""The service's page shows the states of a job and of a wave as they are in code."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.dispatch.domain.diagram import job_diagram, wave_diagram


@pytest.mark.parametrize(("subject", "diagram"), [("job", job_diagram), ("wave", wave_diagram)])
def test_the_diagrams_are_current(root: Path, subject: str, diagram) -> None:
    text = (root / "services/dispatch/README.md").read_text(encoding="utf-8")
    begin, end = f"<!-- states of a {subject}: begin -->", f"<!-- states of a {subject}: end -->"
    drawn = text.split(begin)[1].split(end)[0].strip()
    assert drawn == f"```mermaid\n{diagram()}\n```", "paste the output of services/dispatch/domain/diagram.py"
