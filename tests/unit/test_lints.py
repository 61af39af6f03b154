"""Each project rule finds its own breach and passes the corrected form."""

import pytest

from tests.lints import prose
from tests.lints.rules import check, size_warnings

DOC = '"""Text."""\n'
CASES = {
    "small_modules": ("services/kit/x.py", DOC + "a = 1\n" * 451, DOC + "a = 1\n" * 200),
    "small_functions": (
        "services/kit/x.py",
        DOC + "def _f():\n" + "    a = 1\n" * 60,
        DOC + "def _f():\n" + "    a = 1\n" * 20,
    ),
    "public_docstrings": ("deploy/x.py", DOC + "def f(): ...\n", DOC + 'def f():\n    """Does."""\n'),
    "sql_in_repositories": (
        "services/orders/handlers.py",
        DOC + 'q = "select a from b"\n',
        DOC + 'q = "select a seat"\n',
    ),
    "ack_policy": (
        "services/kit/x.py",
        DOC + "b.subscriber('t')\n",
        DOC + "b.subscriber('t', ack_policy=AckPolicy.NACK_ON_ERROR)\n",
    ),
    "no_blocking_calls": (
        "services/kit/x.py",
        DOC + "async def _f():\n    time.sleep(1)\n",
        DOC + "async def _f():\n    await asyncio.sleep(1)\n",
    ),
    "honest_tests": (
        "tests/unit/x.py",
        "async def test_a():\n    await asyncio.sleep(1)\n",
        "async def test_a():\n    while not done():\n        await asyncio.sleep(0.01)\n",
    ),
    "no_workplace": ("tests/unit/x.py", 'p = "/' + 'root/x"\n', 'p = "x"\n'),
}


@pytest.mark.parametrize("rule", CASES)
def test_rule_finds_its_breach_and_passes_the_corrected_form(rule: str) -> None:
    path, broken, corrected = CASES[rule]
    assert any(f"({rule})" in line for line in check(path, broken))
    assert not any(f"({rule})" in line for line in check(path, corrected))


def test_other_ack_policies_are_refused() -> None:
    found = check("services/kit/x.py", DOC + "b.subscriber('t', ack_policy=AckPolicy.ACK)\n")
    assert any("NACK_ON_ERROR only" in line for line in found)


def test_large_modules_and_functions_are_warnings() -> None:
    module, function = DOC + "a = 1\n" * 300, DOC + "def _f():\n" + "    a = 1\n" * 40
    assert [size_warnings("services/kit/x.py", text) == [] for text in (module, function)] == [False, False]
    assert check("services/kit/x.py", module) == check("services/kit/x.py", function) == []
    assert size_warnings("services/kit/x.py", DOC + "a = 1\n" * 299) == []


BREACHES = {
    "a docstring's opening": '"""What is kept of an order."""\n',
    "a docstring below a constant": 'A = 1\n"""How many at most."""\n',
    "a word in a docstring": '"""Reads the log\nanew."""\n',
    "a word split over two lines": '"""The rule that a courier goes\nby."""\n',
    "a comment": "a = 1  # a row that nobody reads\n",
    "a comment of two lines": "# the price comes\n# to nothing\n",
    "a message": "raise ValueError('the row stands on two lines')\n",
    "an f-string": "raise ValueError(f'{n} orders were told of it')\n",
    "a log event of one word": "log.warning('parked')\n",
    "a clause as a subject": '"""Archive. What was sent is kept."""\n',
    "of a thing": '"""Locks the rows whose key is given."""\n',
}
PASSES = {
    "a verb": '"""Return the orders of a buyer."""\n',
    "code in a docstring": '"""Reads `parked` rows, /parked, parked_at and parked.sql; see `halfday parked`."""\n',
    "a command's old name": "a = 'halfday parked is the old name'\n",
    "SQL": "a = 'select id from parked where n > 1'\n",
    "an identifier": "parked = book['parked']\n",
    "words that contain one": '"""Household, warehouse and bookkeeping; a stand-in; N stands for a number."""\n',
    "a question": '"""Frequent questions. What is a wave? A set of jobs."""\n',
    "a person": '"""The buyer whose order it is."""\n',
}


@pytest.mark.parametrize("text", BREACHES.values(), ids=BREACHES)
def test_prose_that_breaks_the_language_rules_is_found(text: str) -> None:
    assert prose.check("services/kit/x.py", text) != []


@pytest.mark.parametrize("text", PASSES.values(), ids=PASSES)
def test_plain_prose_passes(text: str) -> None:
    assert prose.check("services/kit/x.py", text) == []


def test_of_tests_only_docstrings_are_checked() -> None:
    assert prose.check("tests/unit/x.py", BREACHES["a comment"]) == []
    assert prose.check("tests/unit/x.py", BREACHES["a word in a docstring"]) != []


def test_a_finding_names_its_own_line() -> None:
    text = '"""Reads the log.\n\nThen it is read anew, by a process that nobody stops.\n"""\n'
    assert [line.split(":")[1] for line in prose.check("services/kit/x.py", text)] == ["3", "3"]


def test_markdown_without_its_code_is_checked() -> None:
    page = (
        "# What it is\n\ntext of `parked` rows\n\n```\nhalfday parked anew\n```\n\n- one\n- two, told\n| a | anew |\n"
    )
    assert [line.split(":")[1] for line in prose.check("docs/x.md", page)] == ["10", "11"]
