"""Resolves Kafka's dependencies and rewrites the lock of its jars: `python -m deploy.local.kafka.lock_jars`."""

import hashlib

from jgo.maven import MavenContext

from deploy.local.kafka.jars import LOCK, ROOT
from deploy.local.setup.cache import cache_dir

# Kafka's POM has no binding for its own logging; without this one the broker logs nothing.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"


def main() -> None:
    """Write `kafka.lock`: a line `group:artifact:version sha256:HEX` per jar, in class path order."""
    context = MavenContext(repo_cache=cache_dir() / "jars")
    root = context.create_dependency(ROOT)
    # One coordinate per call: jgo reads several as BOMs, and silently resolves older versions.
    _, rest = context.resolver.resolve([root])
    artifacts = [root.artifact, *(dependency.artifact for dependency in rest)]
    artifacts.append(context.create_dependency(LOGGING).artifact)
    lines = []
    for artifact in artifacts:
        digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
        lines.append(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} sha256:{digest}\n")
    LOCK.write_text("".join(lines))
    print(f"wrote {LOCK}: {len(lines)} jars")


if __name__ == "__main__":
    main()
