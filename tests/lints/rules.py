"""The rules, one function each: given a parsed file, yield (line, what is wrong and how to fix it)."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeGuard

MODULE_LINES, FUNCTION_LINES = 450, 60
MODULE_ASKED, FUNCTION_ASKED = 300, 40
SQL = re.compile(
    r"^\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\w+\s.*set\s|delete\s+from\s|with\s+\w+\s+as\s)", re.I | re.S
)
SQL_HOMES = re.compile(r"^services/(kit/|\w+/repository(/|\.py|_))|^deploy/(local/postgres|audit/)|^tests/")
Finding = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the project: its path from the root, its text, its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        """True for a file of the tests."""
        return self.path.startswith("tests/")


Rule = Callable[[Source], Iterator[Finding]]


class _MethodCall(ast.Call):
    func: ast.Attribute  # narrows ast.expr for the type checker


Def = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Def]:
    """Every function of a file, nested ones too."""
    return (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def small_modules(source: Source, limit: int = MODULE_LINES) -> Iterator[Finding]:
    """A module can be read in one sitting."""
    lines = source.text.count("\n")
    if lines > limit:
        yield 1, f"{lines} lines, more than {limit}: split it by subject"


def small_functions(source: Source, limit: int = FUNCTION_LINES) -> Iterator[Finding]:
    """A function fits on a screen; its docstring does not count."""
    if source.is_test:
        return
    for node in functions(source.tree):
        size = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
        if size > limit:
            yield node.lineno, f"{node.name} has {size} lines, more than {limit}: move a step out of it"


def _docstring_lines(node: Def) -> int:
    # The docstring of a command is its --help, and a long one is a good one.
    text = node.body[0] if ast.get_docstring(node) else None
    return (text.end_lineno or text.lineno) - text.lineno + 1 if text else 0


def public_docstrings(source: Source) -> Iterator[Finding]:
    """Everything public has a docstring, which states its guarantee."""
    if source.is_test:
        return
    if not ast.get_docstring(source.tree) and source.text.strip():
        yield 1, "the module has no docstring"
    yield from _undocumented(source.tree.body, _said_once(source.tree))


def _undocumented(body: list[ast.stmt], said: set[str]) -> Iterator[Finding]:
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        marks = {getattr(d, "id", getattr(d, "attr", "")) for d in node.decorator_list}
        if not ast.get_docstring(node) and not marks & {"override", "overload", "setter"}:
            yield node.lineno, f"{node.name} is public and has no docstring"
        if isinstance(node, ast.ClassDef) and not _implements_store(node):
            yield from _undocumented([n for n in node.body if getattr(n, "name", "") not in said], said)


def _implements_store(node: ast.ClassDef) -> bool:
    # The docstrings of its methods are on the protocol in `repository/store.py`; a protocol itself needs them.
    bases = [_name(base) for base in node.bases]
    return "Protocol" not in bases and any(base.endswith("Store") for base in bases)


def _said_once(tree: ast.Module) -> set[str]:
    """Names of methods documented in one place: an event's key and subject on `contracts.envelope.Event`, and the
    methods of a protocol in the same module.
    """
    protocols = (n for n in tree.body if isinstance(n, ast.ClassDef) and "Protocol" in map(_name, n.bases))
    methods = (m for p in protocols for m in p.body if isinstance(m, ast.FunctionDef) and ast.get_docstring(m))
    return {"key", "subject"} | {method.name for method in methods}


def _name(node: ast.expr) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))


def sql_in_repositories(source: Source) -> Iterator[Finding]:
    """SQL lives where the tables are owned: repositories and the kit."""
    if SQL_HOMES.match(source.path):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
            yield node.lineno, "SQL outside a repository: move the statement there"


def ack_policy(source: Source) -> Iterator[Finding]:
    """Subscribers use NACK_ON_ERROR; other policies lose records on an error (tests/integration)."""
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Attribute)
            and getattr(node.value, "id", "") == "AckPolicy"
            and node.attr != "NACK_ON_ERROR"
        ):
            yield node.lineno, f"AckPolicy.{node.attr} loses records: NACK_ON_ERROR only"
        if _calls(node, "subscriber") and not any(k.arg == "ack_policy" for k in node.keywords):
            yield node.lineno, "a subscriber without ack_policy is at-most-once: set NACK_ON_ERROR"


def _calls(node: ast.AST, method: str | None = None) -> TypeGuard[_MethodCall]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and method in {None, node.func.attr}


def no_blocking_calls(source: Source) -> Iterator[Finding]:
    """A blocked event loop misses heartbeats, and the group expels the member."""
    blocking = {("time", "sleep"), ("subprocess", "run"), ("os", "system"), ("requests", "get")}
    for outer in functions(source.tree):
        if source.is_test or not isinstance(outer, ast.AsyncFunctionDef):
            continue
        for node in ast.walk(outer):
            if _calls(node) and (getattr(node.func.value, "id", ""), node.func.attr) in blocking:
                yield node.lineno, f"{node.func.attr} blocks the event loop: use asyncio.to_thread or an async call"


def honest_tests(source: Source) -> Iterator[Finding]:
    """Tests wait on conditions, are never skipped, and assert something."""
    if not source.is_test:
        return
    lines = source.text.splitlines()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail", "flaky"}:
            yield node.lineno, f"{node.attr}: a test that may not run proves nothing"
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "sleep" and not _polls(node, source, lines):
            yield node.lineno, "a fixed sleep: wait on a condition (or say `# pause: why` where the pause is the fault)"


def _polls(call: ast.Call, source: Source, lines: list[str]) -> bool:
    if "# pause:" in lines[call.lineno - 1]:
        return True
    loops = (n for n in ast.walk(source.tree) if isinstance(n, ast.While | ast.For | ast.AsyncFor))
    return any(loop.lineno <= call.lineno <= (loop.end_lineno or loop.lineno) for loop in loops)


def no_workplace(source: Source) -> Iterator[Finding]:
    """The project reads nothing outside itself and names no machine."""
    # spelled in two halves so that this file passes its own rule
    private = re.compile("/" + r"(work|root|home)/\w")
    for number, line in enumerate(source.text.splitlines(), 1):
        if private.search(line):
            yield number, "a path of one machine"


RULES: tuple[Rule, ...] = (
    small_modules,
    small_functions,
    public_docstrings,
    sql_in_repositories,
    ack_policy,
    no_blocking_calls,
    honest_tests,
    no_workplace,
)


def check(path: str, text: str) -> list[str]:
    """Return the breaches of one file as `path:line: text (rule)`, in line order."""
    source = _parsed(path, text)
    found = [(line, what, rule.__name__) for rule in RULES for line, what in rule(source)]
    return [f"{path}:{line}: {what} ({rule})" for line, what, rule in sorted(found)]


def size_warnings(path: str, text: str) -> list[str]:
    """Return the modules and functions large enough for a second look, as `path:line: text`; not a breach."""
    source = _parsed(path, text)
    found = (*small_modules(source, MODULE_ASKED), *small_functions(source, FUNCTION_ASKED))
    return [f"{path}:{line}: {what}" for line, what in sorted(found)]


def _parsed(path: str, text: str) -> Source:
    return Source(str(PurePosixPath(path)), text, ast.parse(text))
