"""The broker's AOT cache: half the start time, built once per lock, Java and flags."""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.local.kafka.java import Java
from deploy.local.processes.child import Child, with_our_code
from deploy.local.setup.cache import cache_dir


def cache_file(java: Java, jars: Sequence[Path], flags: Sequence[str]) -> Path:
    """Where the cache for exactly these jars, this Java and these flags is kept."""
    # A changed time stamp of a jar makes the JVM ignore the cache, so it belongs to the name.
    stamps = [f"{jar}:{jar.stat().st_mtime_ns}" for jar in jars]
    name = hashlib.sha256("\n".join([str(java), *flags, *stamps]).encode()).hexdigest()[:16]
    return cache_dir() / f"kafka-{name}.aot"


def flags_for(cache: Path) -> list[str]:
    """The JVM flag that uses the cache, or nothing when it isn't built."""
    return [f"-XX:AOTCache={cache}"] if cache.exists() else []


def build_in_background(java: Java, cache: Path, home: Path, log: Path) -> Child | None:
    """Starts a process of the lowest priority that builds the cache, where that can help; it ends by itself.

    None when the cache is there, Java is too old for one, or building it failed before.
    """
    if not java.has_aot_cache or cache.exists() or failure_marker(cache).exists():
        return None
    return Child(
        [sys.executable, "-m", "deploy.local.kafka.build_aot_cache", cache],
        log=log,
        pidfile=home / "training.pid",
        env=with_our_code(os.environ),
    )


def failure_marker(cache: Path) -> Path:
    """The marker that building this cache was tried in vain."""
    return cache.with_suffix(".failed")
