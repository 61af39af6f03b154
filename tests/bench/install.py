"""Measures the launcher's installation beside pip's, in turns, from the same folder of wheels.

`python -m tests.bench.install [LIST]` fetches the wheels once, then installs them into fresh environments with pip
alone (as the launcher did before it used uv) and with `deploy/local/setup/install.py`, which fetches uv first. Both
check every hash. pip compiles the bytecode of every file unless disabled; uv leaves it to the first import. Prints
seconds, CPU seconds, megabytes fetched and megabytes on disk.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from deploy.local.services import ROOT
from deploy.local.setup.install import CHECKED, UV_LIST

TURNS = 3


def main(name: str = "requirements.txt") -> None:
    """Print the time of each turn, and the ratio of the medians."""
    with tempfile.TemporaryDirectory(prefix="halfday-install-") as made:
        wheels, lists = Path(made, "wheels"), [ROOT / UV_LIST, ROOT / name]
        for one in lists:
            _run(sys.executable, "-m", "pip", "download", "-q", *CHECKED, "-r", one, "-d", wheels)
        print(f"{name}: {_megabytes(wheels):.0f} MB fetched, uv included")
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PYTHONDONTWRITEBYTECODE": ""}
        seconds: dict[str, list[float]] = {
            "pip": [],
            "pip --no-compile": [],
            "uv, empty cache": [],
            "uv, warm cache": [],
        }
        for turn in range(TURNS):
            cache = {"UV_CACHE_DIR": str(Path(made, f"cache-{turn}"))}
            for who, took in seconds.items():
                python = _environment(Path(made, "environment"))
                command = ["-m", "pip", "install", "-q", *CHECKED, "-r", ROOT / name]
                if who == "pip --no-compile":
                    command.append("--no-compile")
                elif who != "pip":
                    command = ["-I", ROOT / "deploy/local/setup/install.py", name]
                began, spent = time.monotonic(), _processor()
                _run(python, *command, environment=offline | cache)
                took.append(time.monotonic() - began)
                print(f"  {who:<20} {took[-1]:5.1f} s, {_processor() - spent:5.1f} s of CPU", flush=True)
        size = _megabytes(Path(made, "environment"))
    middle = {who: sorted(took)[TURNS // 2] for who, took in seconds.items()}
    shares = ", ".join(
        f"{who} {took / middle['pip']:.0%} of pip's time" for who, took in middle.items() if who != "pip"
    )
    print(f"{size:.0f} MB on disk; {shares}")


def _environment(folder: Path) -> Path:
    venv.create(folder, clear=True, with_pip=True)
    return folder / "bin" / "python"


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, env=os.environ | (environment or {}), check=True, capture_output=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
