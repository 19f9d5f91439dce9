"""Settings: what is understood, what is refused, and that no value of a secret is ever shown."""

from pathlib import Path

import pytest

from speed_to_lead.settings import Settings, SettingsError, load_settings, variable_names


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variable_names():
        monkeypatch.delenv(name, raising=False)


def loaded(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """The settings of an environment with these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_nothing_set_is_a_machine_of_ones_own() -> None:
    """The defaults: rules and data beside each other, port 8000 on loopback."""
    settings = load_settings()

    assert (Path("config"), Path("var"), "127.0.0.1", 8000) == (
        settings.config_dir,
        settings.data_dir,
        settings.listen_host,
        settings.port,
    )


def test_the_address_of_the_dead_mans_switch_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must be one of the web, and is not shown."""
    settings = loaded(monkeypatch, STL_DEADMAN_URL="https://example.com/ping/s3cr3t")
    assert settings.deadman_url.get_secret_value() == "https://example.com/ping/s3cr3t"
    assert "s3cr3t" not in repr(settings)
    with pytest.raises(SettingsError, match="STL_DEADMAN_URL: an address that begins with https://"):
        loaded(monkeypatch, STL_DEADMAN_URL="example.com/ping/s3cr3t")


def test_a_platform_sets_port_and_redis_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PORT is set, traffic comes from outside; STL_ names mean the same."""
    settings = loaded(monkeypatch, PORT="5000", REDIS_URL="redis://h:1/0")
    assert (settings.listen_host, settings.port, settings.server_url) == ("0.0.0.0", 5000, "redis://h:1/0")

    monkeypatch.delenv("PORT")
    monkeypatch.delenv("REDIS_URL")
    settings = loaded(monkeypatch, STL_PORT="5001", STL_REDIS_URL="redis://h:2/0", STL_HOST="10.0.0.1")
    assert (settings.listen_host, settings.port, settings.server_url) == ("10.0.0.1", 5001, "redis://h:2/0")


def test_without_an_address_the_server_of_up_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands in another terminal find the embedded server by the data directory; None where none runs."""
    settings = loaded(monkeypatch, STL_DATA_DIR=str(tmp_path))
    assert settings.server_url is None

    (tmp_path / "redis-url").write_text("redis://:pw@127.0.0.1:1/0\n")
    assert settings.server_url == "redis://:pw@127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("STL_CONFIG_DIRS", "STL_CONFIG_DIR"),
        ("STL_API_KEY", "STL_API_KEYS"),
        ("STL_FALLBACK_DESTINATON", "STL_FALLBACK_DESTINATION"),
        ("STL_LOGLEVEL", "STL_LOG_LEVEL"),
    ],
)
def test_a_mistyped_name_is_an_error_that_says_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    """A setting that silently does nothing is worse than none; its value is not shown."""
    with pytest.raises(SettingsError) as caught:
        loaded(monkeypatch, **{name: "hunter2-hunter2-hunter2"})

    assert f"{name} is no setting; did you mean {nearest}?" == str(caught.value)


def test_a_name_like_none_is_answered_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is far off sees what there is."""
    with pytest.raises(
        SettingsError, match=r"STL_QQQ is no setting; the settings are .*STL_API_KEYS, .*STL_CONFIG_DIR"
    ):
        loaded(monkeypatch, STL_QQQ="1")


def test_every_mistake_is_told_at_once_and_no_value_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One start is enough to see them all."""
    with pytest.raises(SettingsError) as caught:
        loaded(
            monkeypatch,
            STL_API_KEYS="short-secret",
            PORT="hunter2",
            STL_PUBLIC_URL="ftp://hunter2",
            STL_LOG_LEVEL="hunter2",
            STL_KEY_PREFIX="{hunter2}",
            STL_TYPO="hunter2",
        )

    text = str(caught.value)
    wrong = ("PORT", "STL_API_KEYS", "STL_KEY_PREFIX", "STL_LOG_LEVEL", "STL_PUBLIC_URL", "STL_TYPO")
    assert wrong == tuple(sorted(line.partition(":")[0].partition(" ")[0] for line in text.splitlines()))
    assert ("hunter2" in text, "short-secret" in text) == (False, False)
    assert "STL_API_KEYS: entry 1 is too short for a key: it needs 16 characters or more" in text


def test_secrets_do_not_show_in_a_printed_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever prints the settings prints no key."""
    settings = loaded(monkeypatch, STL_API_KEYS="k" * 16 + ", " + "l" * 20)

    assert "kkkk" not in repr(settings)
    assert ["plain-1", "plain-2"] == [key.name for key in settings.keys]


def test_an_address_with_a_password_does_not_show_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """REDIS_URL usually holds one."""
    assert "hunter2" not in repr(loaded(monkeypatch, REDIS_URL="redis://:hunter2@h:1/0"))


def test_an_address_of_sentinels_is_understood_or_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mistake in it is told at the start, without the address."""
    url = "redis+sentinel://:hunter2@h1,h2,h3/main"
    assert loaded(monkeypatch, REDIS_URL=url, STL_CONFIRM_REPLICAS="1").confirm_replicas == 1

    with pytest.raises(SettingsError) as caught:
        loaded(monkeypatch, REDIS_URL="redis+sentinel://:hunter2@h1,h2,h3", STL_CONFIRM_REPLICAS="-1")
    text = str(caught.value)
    assert "REDIS_URL: it does not say what the Sentinels call the primary" in text
    assert "STL_CONFIRM_REPLICAS: " in text
    assert "hunter2" not in text


def test_the_public_url_has_no_slash_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are put behind it."""
    assert (
        loaded(monkeypatch, STL_PUBLIC_URL="https://leads.example.com/").public_url
        == "https://leads.example.com"
    )


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only names that begin with STL_ are ours."""
    monkeypatch.setenv("STLX", "1")
    monkeypatch.setenv("TYPEFORM_SECRET", "1")

    load_settings()
