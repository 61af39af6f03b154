"""Kafka and PostgreSQL in containers, for machines with an engine that cannot run the embedded pair."""

from __future__ import annotations

from pathlib import Path

from tests.stack import Source, TestStack

KAFKA_IMAGE, POSTGRES_IMAGE = "apache/kafka:4.3.1", "postgres:18"


def engine_missing() -> str | None:
    """Return the reason why containers cannot be used, None when an engine answers within 2 s."""
    try:
        import docker

        docker.from_env(timeout=2).ping()
    except Exception as error:
        return f"no container engine answers: {type(error).__name__}"
    return None


def embedded_missing() -> str | None:
    """Return the reason why the embedded pair cannot be used, None when it can."""
    try:
        from deploy.local.kafka.java import find_java
        from deploy.local.postgres.server import binaries

        find_java()
        binaries()
    except Exception as error:
        return str(error)
    return None


def start_containers(_data: Path) -> TestStack:
    """Start both containers, without Kafka login."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    postgres = DockerContainer(POSTGRES_IMAGE).with_env("POSTGRES_PASSWORD", "test").with_exposed_ports(5432)
    postgres.waiting_for(LogMessageWaitStrategy("database system is ready to accept connections", times=2)).start()
    kafka = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, 9092)
    kafka.waiting_for(LogMessageWaitStrategy("Kafka Server started")).start()
    address = f"{postgres.get_container_host_ip()}:{postgres.get_exposed_port(5432)}"

    def stop() -> None:
        kafka.stop()
        postgres.stop()

    url = f"postgresql://postgres:test@{address}/postgres"
    return TestStack(Source.CONTAINERS, "localhost:9092", url, stop=stop)
