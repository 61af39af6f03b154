"""A grouped command: the same command again has one result, another content under its id is a recorded conflict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from services.kit.clock import Clock
from services.kit.http import problems
from services.kit.http.grouped_command import GroupedCommand, Outcome, Submission
from services.kit.http.problems import Problem
from services.kit.transaction.ports import Ports

ONE, TWO = UUID(int=1), UUID(int=2)


@dataclass(frozen=True)
class Add:
    """A command that adds an amount."""

    id: UUID
    amount: int

    @property
    def digest(self) -> bytes:
        return str(self.amount).encode()


class NoDatabase:
    """A context with transactions of nothing."""

    ports = Ports(Clock())

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[None]:
        yield None


class Adding(GroupedCommand[Add, int]):
    """Stores amounts above zero."""

    def __init__(self) -> None:
        super().__init__(NoDatabase(), 10)  # type: ignore[arg-type]
        self.stored: dict[UUID, tuple[int, bytes]] = {}
        self.groups: list[list[int]] = []
        self.conflicts: list[tuple[Add, int]] = []

    async def run(self, _uow: Any, submissions: Mapping[UUID, Submission[Add]]) -> Outcome[int]:
        commands = [submission.command for submission in submissions.values()]
        self.groups.append([command.amount for command in commands])
        for command in commands:
            if command.amount > 0:
                self.stored.setdefault(command.id, (command.amount, command.digest))
        refused = {command.id: problems.unprocessable("/amount", "must be above 0") for command in commands}
        return Outcome({id: self.stored[id] for id in submissions if id in self.stored}, refused)

    async def record_conflicts(self, _uow: Any, conflicts: Sequence[tuple[Add, int]]) -> None:
        self.conflicts += conflicts


async def test_the_same_command_in_one_group_is_run_once():
    adding = Adding()
    assert await asyncio.gather(adding.submit(Add(ONE, 5)), adding.submit(Add(ONE, 5))) == [5, 5]
    assert adding.groups == [[5]]


async def test_the_same_command_later_gets_the_stored_result():
    adding = Adding()
    assert [await adding.submit(Add(ONE, 5)) for _ in range(2)] == [5, 5]
    assert adding.conflicts == []


async def test_another_content_under_a_used_id_is_a_recorded_conflict():
    adding = Adding()
    first, second = await asyncio.gather(adding.submit(Add(ONE, 5)), adding.submit(Add(ONE, 6)), return_exceptions=True)
    assert first == 5
    assert isinstance(second, Problem)
    assert second.status == 409
    assert adding.conflicts == [(Add(ONE, 6), 5)]


async def test_a_refused_command_raises_its_problem_and_affects_no_other():
    adding = Adding()
    results = await asyncio.gather(adding.submit(Add(ONE, 0)), adding.submit(Add(TWO, 7)), return_exceptions=True)
    assert isinstance(results[0], Problem)
    assert (results[0].status, results[1]) == (422, 7)
    with pytest.raises(Problem):
        await adding.submit(Add(ONE, 0))
