"""Each house rule finds its own breach, and leaves the mended form alone."""

import pytest

from tests.lints.rules import check

DOC = '"""Text."""\n'
CASES = {
    "small_modules": ("services/kit/x.py", DOC + "a = 1\n" * 451, DOC + "a = 1\n" * 200),
    "small_functions": (
        "services/kit/x.py",
        DOC + "def _f():\n" + "    a = 1\n" * 61,
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
def test_rule_finds_its_breach_and_passes_the_mended_form(rule: str) -> None:
    path, broken, mended = CASES[rule]
    assert any(f"({rule})" in line for line in check(path, broken))
    assert not any(f"({rule})" in line for line in check(path, mended))


def test_other_ack_policies_are_refused() -> None:
    found = check("services/kit/x.py", DOC + "b.subscriber('t', ack_policy=AckPolicy.ACK)\n")
    assert any("NACK_ON_ERROR only" in line for line in found)
