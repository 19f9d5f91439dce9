"""Settings from the environment: addresses, secrets and timings only. What decides about leads is in `config/`.

Names begin with `STL_`; `REDIS_URL` and `PORT` are understood as platforms set them. A mistyped `STL_` name is an
error that names the nearest valid one: a setting that silently does nothing is worse than none.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from speed_to_lead.address import sentinel_address
from speed_to_lead.core.access import ApiKey, keys_in
from speed_to_lead.core.answer import secrets_of

#: Where `speed-to-lead up` notes the address of the server it started, inside the data directory.
ADDRESS_FILE = "redis-url"


NO_SERVER = (
    "no server is known: REDIS_URL is not set and no `speed-to-lead up` keeps its data in {}; "
    "set REDIS_URL, start `speed-to-lead up`, or name its data directory in STL_DATA_DIR"
)


class SettingsError(Exception):
    """One or more settings are wrong; the text names each variable, what was expected and what to do."""


class Settings(BaseSettings):
    """Every setting, with its default."""

    model_config = SettingsConfigDict(env_prefix="STL_", extra="ignore", frozen=True)

    config_dir: Path = Field(Path("config"), description="Directory of the rules that ops edit.")
    data_dir: Path = Field(Path("var"), description="Where the embedded server keeps its data.")
    redis_url: str | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL", "STL_REDIS_URL"),
        repr=False,  # it usually holds a password
        description="redis://, rediss://, unix:// or redis+sentinel:// address. Without it: the server `speed-to-lead up` runs here.",
    )
    confirm_replicas: int = Field(
        0,
        ge=0,
        le=5,
        description="Replicas that must hold a lead before its sender hears 200, and a decision before anybody is told.",
    )
    host: str | None = Field(
        None,
        description="Address the web process listens on; 127.0.0.1, or 0.0.0.0 where a platform sets PORT.",
    )
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("PORT", "STL_PORT"),
        description="Port of the web process.",
    )
    key_prefix: str = Field(
        "stl", pattern=r"^[A-Za-z0-9_-]{1,32}$", description="First part of every key, as {prefix}."
    )
    api_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys of /v1 and the pages, separated by commas: NAME:SCOPES:HASH as `keys new` prints it.",
    )
    encryption_keys: SecretStr = Field(
        SecretStr(""),
        description="Fernet keys for personal data at rest, separated by commas: the first encrypts, all decrypt.",
    )
    public_url: str = Field("", description="Address form tools and people reach us at, without a path.")
    fallback_destination: str = Field(
        "console", description="Destination that hears what no other one could be told."
    )
    link_secrets: SecretStr = Field(
        SecretStr(""),
        description="Secrets that sign the answer link in alerts, separated by commas: the first signs, all count. Without: no links.",
    )
    slack_signing_secrets: SecretStr = Field(
        SecretStr(""),
        description="Signing secrets of the Slack app whose buttons are pressed, separated by commas. Without: no buttons.",
    )
    pagerduty_webhook_secrets: SecretStr = Field(
        SecretStr(""),
        description="Secrets of PagerDuty's webhook subscription (v3), separated by commas.",
    )
    deadman_url: SecretStr = Field(
        SecretStr(""),
        description="Address outside that the watchdog POSTs to while all is well, and that calls for help when it stops.",
    )
    deadman_seconds: float = Field(60.0, ge=5, description="How often it does.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON."
    )

    @field_validator("redis_url")
    @classmethod
    def _server_address(cls, value: str | None) -> str | None:
        if not value:
            return None
        sentinel_address(value)
        return value

    @field_validator("api_keys")
    @classmethod
    def _well_written(cls, value: SecretStr) -> SecretStr:
        keys_in(value.get_secret_value())  # its errors name the entry by its number, never what stands there
        return value

    @field_validator("link_secrets", "slack_signing_secrets", "pagerduty_webhook_secrets")
    @classmethod
    def _not_to_be_guessed(cls, value: SecretStr) -> SecretStr:
        secrets_of(value.get_secret_value())
        return value

    @field_validator("deadman_url")
    @classmethod
    def _web_address(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("an address that begins with https:// (or http://)")
        return value

    @field_validator("public_url")
    @classmethod
    def _bare_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("an address that begins with https:// (or http://)")
        return value.rstrip("/")

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """The API keys, in order; without any, nobody may use /v1 or look at a page."""
        return keys_in(self.api_keys.get_secret_value())

    @property
    def listen_host(self) -> str:
        """The address to listen on: a platform that sets PORT sends its traffic from outside."""
        return self.host or ("0.0.0.0" if "port" in self.model_fields_set else "127.0.0.1")  # noqa: S104

    @property
    def server_url(self) -> str | None:
        """The address of the store: REDIS_URL, else that of the server `up` runs on this data directory, else None."""
        if self.redis_url:
            return self.redis_url
        try:
            return (self.data_dir / ADDRESS_FILE).read_text().strip() or None
        except OSError:
            return None


def split_keys(value: SecretStr) -> tuple[str, ...]:
    """The secrets of a setting that holds several, in order."""
    return tuple(key.strip() for key in value.get_secret_value().split(",") if key.strip())


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises SettingsError naming every wrong or unknown variable at once."""
    present = os.environ if environment is None else environment
    problems = [*_unknown_names(present)]
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_sentence(detail["loc"], detail["msg"]) for detail in error.errors()]
        raise SettingsError("\n".join(problems)) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def variable_names() -> tuple[str, ...]:
    """Every variable that is understood."""
    names = [f"STL_{name}".upper() for name in Settings.model_fields]
    return (*names, "REDIS_URL", "PORT")


def _unknown_names(environment: Mapping[str, str]) -> list[str]:
    known = variable_names()
    problems = []
    for name in sorted(environment):
        if name.startswith("STL_") and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(sorted(known))}"
            problems.append(f"{name} is no setting; {hint}")
    return problems


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]).upper() if location else "settings"
    variable = name if name in ("REDIS_URL", "PORT") else f"STL_{name.removeprefix('STL_')}"
    return f"{variable}: {message.removeprefix('Value error, ')}"
