"""Settings come from the environment or secret files; what is wrong is named."""

from pathlib import Path

import pytest

from services.dispatch.settings import DispatchSettings, quote_keys
from services.kit.errors import UnusableSettings
from services.kit.settings import Settings, load


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("FAULT", raising=False)
    for name in ("DATABASE_URL", "TOKENS", "HTTP_PORT", "PREFIX", "SECRETS_DIR", "KAFKA_USERNAME", "LOG", "HTTP_HOST"):
        monkeypatch.delenv(f"HALFDAY_{name}", raising=False)
    return monkeypatch


def test_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HALFDAY_DATABASE_URL", "postgresql://orders:pw@127.0.0.1/orders")
    environment.setenv("HALFDAY_TOKENS", '{"operator": "ab"}')
    environment.setenv("HALFDAY_HTTP_PORT", "8080")
    settings = Settings.load()
    assert settings.tokens == {"operator": "ab"}
    assert (settings.http_port, settings.prefix, settings.security_protocol) == (8080, "", "PLAINTEXT")
    assert settings.http_host == "127.0.0.1"  # a service is not for the network unless somebody says so


def test_secrets_may_stand_in_files(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "halfday_database_url").write_text("postgresql://from/file\n")
    environment.setenv("HALFDAY_SECRETS_DIR", str(tmp_path))
    assert Settings.load().database_url == "postgresql://from/file"


def test_every_wrong_variable_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HALFDAY_HTTP_PORT", "70000")
    environment.setenv("HALFDAY_LOG", "loud")
    with pytest.raises(UnusableSettings) as wrong:
        Settings.load()
    for name in ("HALFDAY_DATABASE_URL", "HALFDAY_HTTP_PORT", "HALFDAY_LOG"):
        assert name in str(wrong.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "orders-api"])
def test_local_tokens_and_crash_points_are_refused_off_loopback(environment: pytest.MonkeyPatch, host: str) -> None:
    environment.setenv("HALFDAY_DATABASE_URL", "postgresql://orders:pw@127.0.0.1/orders")
    environment.setenv("HALFDAY_HTTP_HOST", host)
    assert Settings.load().http_host == host
    environment.setenv("HALFDAY_TOKENS", '{"operator": "ab"}')
    environment.setenv("FAULT", "relay.after_send:kill")
    with pytest.raises(UnusableSettings) as wrong:
        Settings.load()
    tokens, fault = str(wrong.value).splitlines()
    assert tokens.startswith("HALFDAY_TOKENS: ")
    assert fault.startswith("FAULT: ")
    assert host in tokens
    assert host in fault


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_local_tokens_and_crash_points_are_accepted_on_loopback(environment: pytest.MonkeyPatch, host: str) -> None:
    environment.setenv("HALFDAY_DATABASE_URL", "postgresql://orders:pw@127.0.0.1/orders")
    environment.setenv("HALFDAY_HTTP_HOST", host)
    environment.setenv("HALFDAY_TOKENS", '{"operator": "ab"}')
    environment.setenv("FAULT", "relay.after_send:kill")
    assert Settings.load().tokens == {"operator": "ab"}


def test_a_short_quote_key_is_refused_and_the_one_before_still_verifies(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HALFDAY_QUOTE_KEY", "k" * 31)
    with pytest.raises(UnusableSettings, match=r"HALFDAY_QUOTE_KEY: .*32"):
        load(DispatchSettings)
    environment.setenv("HALFDAY_QUOTE_KEY", "k" * 32)
    environment.setenv("HALFDAY_QUOTE_KEY_PREVIOUS", "p" * 32)
    environment.setattr("services.dispatch.settings.settings", lambda: load(DispatchSettings))
    assert quote_keys() == [b"k" * 32, b"p" * 32]


def test_secrets_are_never_printed() -> None:
    settings = Settings(
        database_url="postgresql://u:hunter2@h/d",
        kafka_username="orders",
        kafka_password="hunter2",
        tokens={"operator": "hunter2"},
    )
    assert "hunter2" not in repr(settings)
    assert settings.security_protocol == "SASL_PLAINTEXT"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings(database_url="x").prefix = "y"  # type: ignore[misc]


@pytest.mark.parametrize("variable", ["HALFDAY_OSRM", "HALFDAY_VALHALLA"])
@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("http://127.0.0.1:5000", True),
        ("http://localhost:5000", True),
        ("https://routes.example", True),
        ("http://routes.example", False),
        ("http://127.0.0.1.example", False),
        ("ftp://127.0.0.1", False),
        ("routes.example", False),
    ],
)
def test_the_positions_of_doors_leave_the_machine_over_https_only(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str, accepted: bool
) -> None:
    monkeypatch.setenv(variable, address)
    if accepted:
        assert address in {load(DispatchSettings).osrm, load(DispatchSettings).valhalla}
    else:
        with pytest.raises(UnusableSettings, match=f"^{variable}: .*use https"):
            load(DispatchSettings)
