"""A use case for which many requests share a commit, each with an id of the client's own choice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.group_commit import GroupCommit
from services.kit.http.problems import Problem
from services.kit.transaction.unit_of_work import Origin, UnitOfWork


class Command(Protocol):
    """A command under the client's id of it. Two commands are the same where id and digest are equal."""

    @property
    def id(self) -> UUID:
        """The id of the command, and of its result."""

    @property
    def digest(self) -> bytes:
        """The hash of the content."""


C = TypeVar("C", bound=Command)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Submission(Generic[C]):
    """A command and the request that it came with."""

    command: C
    origin: Origin = field(default_factory=Origin.current)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """The results of a group by id: `stored` ones, of this or an earlier group, each with the digest of its command;
    and the problem of each command that was `refused`.
    """

    stored: Mapping[UUID, tuple[R, bytes]]
    refused: Mapping[UUID, Problem]


class GroupedCommand(ABC, Generic[C, R]):
    """A use case with a group commit: `submit` returns only after COMMIT.

    The same command again gets the same result, in the same group, at the same time in another process, or later. A
    command with another content under a used id is a 409, and is recorded where it has the owner of the result.

    Crash points: `accept.before_commit`, `accept.after_commit`.
    """

    def __init__(self, context: Context, limit: int, concurrency: int = 1) -> None:
        self._context = context
        self._group = GroupCommit[Submission[C], R | Problem](
            self._commit,
            lambda submission: submission.command.id,
            limit,
            concurrency=concurrency,
            tasks=context.ports.tasks,
        )

    async def submit(self, command: C) -> R:
        """Run the command with the next group and return its result.

        Raises the `Problem` of a command that is refused. An unknown outcome is a 503; the same command again is safe.
        """
        answer = await self._group.submit(Submission(command))
        if isinstance(answer, Problem):
            raise answer
        return answer

    @abstractmethod
    async def run(self, uow: UnitOfWork, submissions: Mapping[UUID, Submission[C]]) -> Outcome[R]:
        """Execute the commands in one transaction; of several with one id only the first is given."""

    @abstractmethod
    async def record_conflicts(self, uow: UnitOfWork, conflicts: Sequence[tuple[C, R]]) -> None:
        """Store commands with another content under a used id, each given with the result that has the id; not those of
        another owner.
        """

    async def _commit(self, group: list[Submission[C]]) -> list[R | Problem]:
        async with self._context.unit() as uow:
            answers = await self._execute(uow, group)
            self._context.ports.crash_point("accept.before_commit")
        self._context.ports.crash_point("accept.after_commit")
        return answers

    async def _execute(self, uow: UnitOfWork, group: list[Submission[C]]) -> list[R | Problem]:
        first: dict[UUID, Submission[C]] = {}
        for submission in group:
            first.setdefault(submission.command.id, submission)
        outcome = await self.run(uow, first)
        commands = [submission.command for submission in group]
        conflicts = [(one, outcome.stored[one.id][0]) for one in commands if _is_conflict(one, outcome)]
        if conflicts:
            await self.record_conflicts(uow, conflicts)
        return [_answer(command, outcome) for command in commands]


def _is_conflict(command: Command, outcome: Outcome[Any]) -> bool:
    stored = outcome.stored.get(command.id)
    return stored is not None and stored[1] != command.digest


def _answer(command: Command, outcome: Outcome[Any]) -> Any:
    if _is_conflict(command, outcome):
        return problems.conflict(f"id {command.id} was used for another content: send the same content, or a new id")
    if stored := outcome.stored.get(command.id):
        return stored[0]
    return outcome.refused[command.id]
