"""The broker's AOT cache: half the start time, built once per lock, Java and flags."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from deploy.local.cache import cache_dir
from deploy.local.java import Java


def cache_file(java: Java, jars: Sequence[Path], flags: Sequence[str]) -> Path:
    """Where the cache for exactly these jars, this Java and these flags is kept."""
    # A changed time stamp of a jar makes the JVM ignore the cache, so it belongs to the name.
    stamps = [f"{jar}:{jar.stat().st_mtime_ns}" for jar in jars]
    name = hashlib.sha256("\n".join([str(java), *flags, *stamps]).encode()).hexdigest()[:16]
    return cache_dir() / f"kafka-{name}.aot"


def use_cache(java: Java, jars: Sequence[Path], flags: Sequence[str]) -> list[str]:
    """The JVM flag that uses the cache, or nothing when it isn't built yet or Java is older than 25."""
    if not java.has_aot_cache:
        return []
    file = cache_file(java, jars, flags)
    return [f"-XX:AOTCache={file}"] if file.exists() else []
