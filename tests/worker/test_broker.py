"""The broker's address, as Celery is given it."""

from types import ModuleType
from typing import Any

import pytest

from speed_to_lead.settings import Settings


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The application's module, in a process that has a server's address."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    from speed_to_lead.worker import app

    return app


def conf(module: ModuleType, url: str) -> Any:
    """The configuration of an application on that server."""
    return module.make_app(Settings.model_validate({"REDIS_URL": url})).conf


def test_one_server_keeps_its_address(module: ModuleType) -> None:
    """But for unix sockets, which have another scheme in Celery."""
    assert conf(module, "redis://:pw@h:1/2").broker_url == "redis://:pw@h:1/2"
    unix = conf(module, "unix:///run/redis.sock")
    assert (unix.broker_url, unix.broker_use_ssl) == ("redis+socket:///run/redis.sock", None)
    assert "master_name" not in unix.broker_transport_options


def test_sentinels_are_each_an_address_with_the_login(module: ModuleType) -> None:
    """Celery takes the login from whichever of them it talks to; a Sentinel that is down costs half a second."""
    found = conf(module, "redis+sentinel://:p%40ss%2F@h1:1,[::1]/main/2?sentinel_password=spw")
    options = found.broker_transport_options
    assert found.broker_url == "sentinel://:p%40ss%2F@h1:1/2;sentinel://:p%40ss%2F@[::1]:26379/2"
    assert (options["master_name"], options["global_keyprefix"]) == ("main", "{stl}:celery:")
    own = options["sentinel_kwargs"]
    assert (own["password"], own["socket_timeout"], own["socket_connect_timeout"]) == ("spw", 0.5, 0.5)
    assert own["retry"].get_retries() == 0
    assert found.broker_use_ssl is None


def test_tls_reaches_the_broker_and_the_sentinels(module: ModuleType) -> None:
    """With the certificates of the address."""
    found = conf(module, "rediss+sentinel://h1/main?ssl_ca_certs=/ca.pem")
    assert found.broker_use_ssl == {"ssl_cert_reqs": "required", "ssl_ca_certs": "/ca.pem"}
    own = found.broker_transport_options["sentinel_kwargs"]
    assert (own["ssl"], own["ssl_ca_certs"]) == (True, "/ca.pem")
