"""The broker's AOT cache: halves the start time, built once per lock, Java and flags."""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.local.kafka.java import Java
from deploy.local.processes.child import Child, with_our_code
from deploy.local.setup.cache import cache_dir


def cache_file(java: Java, jars: Sequence[Path], flags: Sequence[str]) -> Path:
    """Return the cache file for exactly these jars, this Java and these flags."""
    # A changed time stamp of a jar makes the JVM ignore the cache, so it belongs to the name.
    stamps = [f"{jar}:{jar.stat().st_mtime_ns}" for jar in jars]
    name = hashlib.sha256("\n".join([str(java), *flags, *stamps]).encode()).hexdigest()[:16]
    return cache_dir() / f"kafka-{name}.aot"


def flags_for(cache: Path) -> list[str]:
    """Return the JVM flag that uses the cache, or an empty list if it is not built."""
    return [f"-XX:AOTCache={cache}"] if cache.exists() else []


def build_in_background(java: Java, cache: Path, home: Path, log: Path) -> Child | None:
    """Start a process of the lowest priority that builds the cache, if that helps; it ends by itself.

    Returns None when the cache exists, when Java is too old for one, or when building it failed before.
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
    """Return the marker file of a failed build of this cache."""
    return cache.with_suffix(".failed")
