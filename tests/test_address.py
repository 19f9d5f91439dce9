"""The server's address: what is understood, what is refused with a sentence that quotes nothing, what is shown."""

import re

import pytest

from speed_to_lead.address import SentinelAddress, hosts_of, sentinel_address

FULL = (
    "rediss+sentinel://us%3Aer:p%40ss%2Fw%2C@h1:1,[::1]:2,h3/main/4"
    "?sentinel_username=s&sentinel_password=s%23pw&ssl_ca_certs=/ca.pem&ssl_check_hostname=false"
)


@pytest.mark.parametrize("url", ["redis://h", "redis://u:p@h:1/0", "rediss://h:1/0", "unix:///path"])
def test_the_address_of_one_server_is_left_to_redis_py(url: str) -> None:
    """It knows more options than we would ever list."""
    assert sentinel_address(url) is None


def test_everything_in_an_address_of_sentinels() -> None:
    """Hosts with and without a port, two logins, a database and TLS, each percent-decoded once."""
    assert sentinel_address(FULL) == SentinelAddress(
        sentinels=(("h1", 1), ("::1", 2), ("h3", 26379)),
        service="main",
        db=4,
        is_tls=True,
        username="us:er",
        password="p@ss/w,",
        sentinel_username="s",
        sentinel_password="s#pw",
        tls_options={"ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False},
    )
    assert sentinel_address("redis+sentinel://h/main") == SentinelAddress((("h", 26379),), "main")


def test_no_password_shows() -> None:
    """Neither in what is printed nor in what people are shown."""
    shown = f"{sentinel_address(FULL)!r} {hosts_of(FULL)}"
    assert [secret for secret in ("p@ss", "p%40ss", "s#pw", "s%23pw") if secret in shown] == []
    assert hosts_of(FULL) == "h1:1,[::1]:2,h3:26379/main"
    assert hosts_of("redis://u:hunter2@h:1/0") == "h:1"
    assert hosts_of("unix:///run/redis.sock") == "/run/redis.sock"
    assert hosts_of("hunter2") == "REDIS_URL"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("hunter2", "no server's address"),
        ("http://hunter2", "no server's address"),
        ("redis://h:hunter2/0", "no server's address"),
        ("redis+sentinel://[hunter2/main", "no server's address"),
        ("redis+sentinel://h1,h2", "does not say what the Sentinels call the primary"),
        ("redis+sentinel://h1,h2/", "does not say what the Sentinels call the primary"),
        ("redis+sentinel:///main", "host 1 is missing"),
        ("redis+sentinel://h1,,h3/main", "host 2 is missing"),
        ("redis+sentinel://h1,h2:hunter2/main", "port of host 2 is no number"),
        ("redis+sentinel://h1:70000/main", "port of host 1 is no number"),
        ("redis+sentinel://h1:0/main", "host 1 is missing or has no usable port"),
        ("redis+sentinel://:hunter2/x@h1/main", "port of host 1 is no number"),
        ("redis+sentinel://h1/main/hunter2", "is the number of a database"),
        ("redis+sentinel://h1/main/0/hunter2", "is the number of a database"),
        ("redis+sentinel://h1/main?sentinel_pasword=hunter2", "did you mean sentinel_password?"),
        ("redis+sentinel://h1/main?qqq=hunter2", "it takes sentinel_username, sentinel_password"),
        ("redis+sentinel://h1/main?sentinel_password=", "given twice or is empty"),
        ("redis+sentinel://h1/main?sentinel_username=a&sentinel_username=b", "given twice or is empty"),
        ("redis+sentinel://h1/main?ssl_ca_certs=hunter2", "begin the address with rediss+sentinel://"),
        ("rediss+sentinel://h1/main?ssl_check_hostname=hunter2", "ssl_check_hostname is true or false"),
        ("redis+sentinel://:pw#hunter2@h1/main", "in a password write it as %23"),
    ],
)
def test_each_way_to_get_it_wrong_is_named_and_nothing_quoted(url: str, says: str) -> None:
    """Any part of a wrong address may be the password."""
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        sentinel_address(url)

    assert "hunter2" not in str(caught.value)
