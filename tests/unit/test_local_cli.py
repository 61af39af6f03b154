"""The command line itself: help, misuse, errors as sentences."""

import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from cyclopts import App

from deploy.cli import __main__ as cli
from deploy.cli import doctor as doctor_module
from deploy.local.errors import StackError


def halfday(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["halfday", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_help_names_every_command_and_imports_none_of_them(root: Path) -> None:
    code = "import sys; sys.argv = ['halfday', '--help']\nfrom deploy.cli.__main__ import main\n"
    code += "try: main()\nfinally: print(sorted(name for name in sys.modules if name.startswith('deploy.cli.')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert all(f" {name} " in done.stdout for name, _, _ in cli.COMMANDS)
    assert done.stdout.splitlines()[-1] == "['deploy.cli.__main__']"


def every_command() -> list[tuple[str, ...]]:
    """Each command as typed, and each of its own commands."""
    found: list[tuple[str, ...]] = []
    for name, place, _ in cli.COMMANDS:
        module, _, attribute = place.partition(":")
        target = getattr(import_module(module), attribute)
        inner = target.resolved_commands() if isinstance(target, App) else {}
        found += [(name,), *((name, other) for other in inner if other.isalpha())]
    return found


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_the_help_of_each_command_teaches_by_an_example_that_can_be_typed(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert halfday(monkeypatch, *words, "--help") in (0, None)
    shown = capsys.readouterr().out
    assert f"halfday {words[0]}" in shown
    example = re.search(r"Example: halfday (.+)", shown)
    assert example, shown
    typed = shlex.split(example[1])
    assert tuple(typed[: len(words)]) == words
    cli.application(words[0]).parse_args(typed, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    "words",
    [
        ("nosuch",), ("--nosuch",), ("up", "--nosuch"), ("up", "--port-base", "x"), ("up", "--port-base", "70000"),
        ("logs", "a", "b"), ("logs", "--lines", "-3"), ("dead-letters", "nosuch"), ("audit", "x"), ("plan",),
        ("faults", "--seconds", "-1"), ("faults", "soak", "--rate", "0"),
    ],
)  # fmt: skip
def test_misuse_is_code_2_and_one_sentence(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert halfday(monkeypatch, *words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert 0 < len(shown.err.splitlines()) <= 2


@pytest.mark.parametrize(
    "words",
    [
        ("status",), ("logs",), ("logs", "nosuch"), ("up", "--workers", "kafka=2"), ("demo", "--scenario", "nowhere"),
        *((name, "--data", __file__) for name in ("up", "status", "down", "audit", "dead-letters")),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_code_1_and_one_sentence(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert halfday(monkeypatch, *words) == 1
    shown = capsys.readouterr()
    assert shown.out == "", "nothing is said to begin that is refused"
    assert len(shown.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("status",), ("dead-letters",), ("dead-letters", "redrive", "x"), ("audit",)])
def test_of_a_stack_that_was_killed_it_is_said_that_none_runs(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = dict.fromkeys(("orders", "inventory", "dispatch"), "http://127.0.0.1:1")
    (tmp_path / "endpoints.json").write_text(json.dumps({"http": urls, "tokens": {"operator": "o"}}))
    assert halfday(monkeypatch, *words, "--data", str(tmp_path)) == 1
    shown = capsys.readouterr()
    expected = f"no stack runs on {tmp_path}; start one with: ./halfday up --data '{tmp_path}'\n"
    assert (shown.out, shown.err) == ("", expected)


def test_an_old_name_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("parked", "dead-letters"):
        assert halfday(monkeypatch, name, "show", "7", "--data", str(tmp_path)) == 1
        assert capsys.readouterr().err == "invalid record id '7', expected SERVICE/NUMBER such as orders/7\n"


def test_an_unexpected_argument_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert halfday(monkeypatch, "up", "x") == 2
    assert capsys.readouterr().err == "unexpected argument 'x'\nSee: ./halfday up --help\n"


def test_down_with_nothing_to_stop_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert halfday(monkeypatch, "down", "--data", str(tmp_path)) in (0, None)
    assert capsys.readouterr().out == f"no stack runs on {tmp_path}\n"


def test_the_doctor_is_right_about_what_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def no_java() -> str:
        raise StackError("no Java: install one")

    monkeypatch.setattr(doctor_module, "CHECKS", {"java": no_java, "cores": lambda: "2"})
    assert halfday(monkeypatch, "doctor", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "findings": [
            {"what": "java", "ok": False, "says": "no Java: install one"},
            {"what": "cores", "ok": True, "says": "2"},
        ],
    }
    assert halfday(monkeypatch, "doctor") == 1
    assert "MISSING  java         no Java: install one" in capsys.readouterr().out
