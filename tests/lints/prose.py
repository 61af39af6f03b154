"""Lists prose that breaks the language rules: docstring openings and words, as `path:line: text`.

    python -m tests.lints.prose [PATH ...]

PATH is a file or a folder, by default the whole project. Checked are docstrings, comments and messages of Python files
and the text of Markdown files; of tests the docstrings only. Code is not prose: text in backticks and fenced blocks,
and words with an underscore, a slash or an inner dot, are left out. Exits with 1 when there are findings.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("contracts", "services", "deploy", "docs", "tests")

OPENINGS = re.compile(
    r"\W*(wh(at|o|om|ose|ere|en|ether|y|ich|atever|oever|ichever)|how|such|that|those|these|they|its?|nothing|something|so)\b",
    re.IGNORECASE,
)
"""First words of a docstring that hide its subject. It begins with a verb, or with a noun that has its object."""

WORDS: dict[str, str] = {
    # pattern, in lower case with single spaces: what to write instead
    r"anew": "again",
    r"mend(s|ed|ing)?": "fix",
    r"whom": "name the person: the buyer that ...",
    r"{not a person} whose": "with, of which",
    r"told|tells|tell of": "is published, reports, says, is informed",
    r"(?<!can )(?<!cannot )(?<!to )stands?(?!-)(?! (in )?for\b)": "is",
    r"(go|goes|went|gone|going) by": "uses, follows",
    r"(come|comes|came|coming) to(?! an end)": "becomes, amounts to",
    r"folks?": "people",
    r"nobody|somebody": "no one; or name the person or the process",
    r"whence|thence|thereof|therein|whither": "from which, of which",
    r"goodbye": "closes the connection",
    r"in hand": "held, in progress",
    r"house": "project, environment",
    r"desk": "planning loop",
    r"shelf": "identity map",
    r"books?": "repository; tables (audit)",
    r"park(s|ed|ing)?": "dead letter, dead-letters",
    r"lanes?": "fast path, shard, worker",
    r"(the|these|those|many|more|all|no|of|by|both|two|three|other|its|their|\d) asks": "requests",
    r"(an|one|each|every|another|this) ask": "request",
}
"""Words that are nearly always better said in another way. One that is mostly right is not in the table."""

CLAUSE = re.compile(r"(^|[.!?:;] )What (\w+ ){0,3}?(is|was|were|are|has|had|have)\b(?![^.!?]*\?)")
"""A clause as the subject of a sentence: `What was sent is archived`. Questions are left alone."""

NOT_PROSE = re.compile(r"`[^`]*`|\bhalfday parked\b|\S*[/_]\S*|\S*\w\.\w\S*|https?:\S+|<[^<>]*>")
SQL = re.compile(
    r"\s*(select|insert|update|delete|with \w+ as|create|alter|and|where|returning|order by|on conflict)\b"
)
MESSAGE_CALLS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})


class Text(NamedTuple):
    """A piece of prose and its first line in the file."""

    line: int
    text: str


class Finding(NamedTuple):
    """A breach at a line, with the advice."""

    line: int
    what: str


def _rules() -> list[tuple[re.Pattern[str], str]]:
    persons = "".join(rf"(?<!\b{p} )" for p in ("buyer", "courier", "person", "customer", "operator", "user", "seller"))
    return [(re.compile(rf"\b(?:{p.replace('{not a person} ', persons)})\b", re.I), say) for p, say in WORDS.items()]


RULES = _rules()


def words(piece: Text) -> Iterator[Finding]:
    """The words to avoid in a piece of prose, each at its own line."""
    prose = NOT_PROSE.sub(lambda m: "~" + "\n" * m[0].count("\n"), piece.text)
    tokens = [(m[0], piece.line + prose.count("\n", 0, m.start())) for m in re.finditer(r"\S+", prose)]
    starts, size = [], 0
    for token, _ in tokens:
        starts.append(size)
        size += len(token) + 1
    flat = " ".join(token for token, _ in tokens)
    for rule, instead in (*RULES, (CLAUSE, "name the subject first")):
        for match in rule.finditer(flat):
            line = tokens[bisect_right(starts, match.start()) - 1][1]
            yield Finding(line, f"{match[0].strip(' .:;!?')!r}: write {instead}")


def docstrings(tree: ast.Module) -> Iterator[tuple[ast.Constant, bool]]:
    """Each docstring; True for the real ones, False for a string below a constant, which documents that."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for n, statement in enumerate(body if isinstance(body, list) else ()):
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value, n == 0 and not isinstance(node, ast.If | ast.For | ast.With)


def opening(node: ast.Constant) -> Iterator[Finding]:
    """The first word of a docstring, when it is one that hides the subject."""
    first = OPENINGS.match(str(node.value))
    if first:
        yield Finding(node.lineno, f"docstring begins with {first[1]!r}: begin with a verb or a noun")


def comments(source: str) -> Iterator[Text]:
    """Comments; those on consecutive lines are one text."""
    block: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, column = token.start
        alone = not token.line[:column].strip()
        if not (block and alone and line == last + 1):
            yield from _whole(start, block)
            block, start = [], line
        block.append(token.string.lstrip("#: "))
        last = line if alone else -1
    yield from _whole(start, block)


def _whole(start: int, block: list[str]) -> Iterator[Text]:
    if block:
        yield Text(start, "\n".join(block))


def messages(tree: ast.Module, documented: set[int]) -> Iterator[Text]:
    """String literals that people read: those with a space in them, and the event names of log calls."""
    inner: set[int] = set()
    for node in ast.walk(tree):  # parents come before their children
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in MESSAGE_CALLS and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and " " not in first.value:
                yield Text(first.lineno, first.value)
        text: object = None
        if isinstance(node, ast.JoinedStr):
            inner |= {id(part) for part in node.values}
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "~" for part in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in inner | documented:
            text = node.value
        if isinstance(text, str) and " " in text.strip() and not SQL.match(text):
            yield Text(node.lineno, text)  # type: ignore[attr-defined]


def python(source: str, *, test: bool) -> Iterator[Finding]:
    """The findings of a Python file; `test` limits them to docstrings."""
    tree = ast.parse(source)
    found = list(docstrings(tree))
    for node, real in found:
        if real or not test:
            yield from opening(node)
            yield from words(Text(node.lineno, str(node.value)))
    if not test:
        for piece in (*comments(source), *messages(tree, {id(node) for node, _ in found})):
            yield from words(piece)


def markdown(source: str) -> Iterator[Finding]:
    """The findings of a Markdown file; a list item, a table cell and a heading are texts of their own."""
    block: list[str] = []
    start = 0
    fenced = False
    for number, line in enumerate((*source.split("\n"), ""), 1):
        if line.lstrip().startswith("```"):
            fenced, line = not fenced, ""
        if fenced or not line.strip() or re.match(r"\s*([-*#|]|\d+\.) ?", line):
            yield from (f for piece in _whole(start, block) for f in words(piece))
            block, start = [], number
        if fenced or not line.strip():
            continue
        if line.startswith("|"):
            yield from (f for cell in line.split("|") for f in words(Text(number, cell.strip())))
        elif line.startswith("#"):
            yield from (f for f in words(Text(number, line.lstrip("# "))) if not f.what.startswith("'What"))
        else:
            block.append(re.sub(r"^\s*([-*]|\d+\.) ", "", line))
            start = start if len(block) > 1 else number
    yield from (f for piece in _whole(start, block) for f in words(piece))


def check(path: str, source: str) -> list[str]:
    """The findings of one file as `path:line: text`, in line order; Python and Markdown only."""
    found = markdown(source) if path.endswith(".md") else python(source, test=path.startswith("tests/"))
    return [f"{path}:{line}: {what}" for line, what in sorted(set(found))]


def files(paths: Iterable[Path] = ()) -> list[Path]:
    """Return the Python and Markdown files below the paths, by default of the whole project, in order of name."""
    places = list(paths) or [*(ROOT / top for top in TOPS), *ROOT.glob("*.md")]
    found = {p for place in places for p in ([place] if place.is_file() else place.rglob("*"))}
    return sorted(p for p in found if p.suffix in {".py", ".md"} and p.is_file() and not _foreign(p))


def _foreign(path: Path) -> bool:
    return any(part.startswith(".") or part == "node_modules" for part in path.relative_to(ROOT).parts)


def findings(chosen: Iterable[Path]) -> list[str]:
    """Return the findings of these files as `path:line: text`."""
    return [line for p in chosen for line in check(p.relative_to(ROOT).as_posix(), p.read_text(encoding="utf-8"))]


def main(paths: list[str]) -> int:
    """Print the findings and their number; return 0 when there are none."""
    chosen = files(Path(path).resolve() for path in paths)
    found = findings(chosen)
    print(*found, f"{len(found)} findings in {len(chosen)} files", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
