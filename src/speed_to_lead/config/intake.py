"""intake.toml → forms: which tool sends each, how it proves itself, what its answers mean."""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any

from speed_to_lead.config.conditions import field_hint
from speed_to_lead.config.mistakes import Names, hint, one_of, quoted
from speed_to_lead.config.shapes import (
    API_FORMS,
    AUTHS,
    ENVIRONMENT_NAME,
    FORM,
    FORM_NAME,
    RATE,
    SETTINGS_PREFIX,
    UNSIGNED,
)
from speed_to_lead.config.table import Table
from speed_to_lead.core.sla import parse_duration
from speed_to_lead.core.submission import LEAD_FIELDS, WAIT_FOR_DATA, Form, RateLimit, lead_field_named

LONGEST_WAIT = timedelta(days=1)
#: Nobody's trap.
_ASKED_OF_EVERYBODY = ("email", "name", "first_name", "last_name", "phone")
_ADDRESS = re.compile(r"https?://[^\s?#]+")
_RATE_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
_WAYS = 'secret_env (signed), token_env (a shared secret) or auth = "none"'


def read_forms(file: Table, sources: Names, providers: Mapping[str, Collection[str]]) -> dict[str, Form]:
    """The forms of intake.toml that could be read."""
    file.refuse_keys_except("forms")
    return {
        name: form
        for name, table in file.named_tables("forms")
        if (form := _read_form(name, table, sources, providers)) is not None
    }


def read_environment_name(table: Table, key: str) -> str | None:
    """The name of the environment variable that holds a secret. What stands there is never repeated: it may be one."""
    name = table.text(key, 'the name of an environment variable such as "TYPEFORM_SECRET"')
    if name is None:
        return None
    if not ENVIRONMENT_NAME.fullmatch(name):
        table.mistake(
            f"{key} takes the name of an environment variable (A-Z, 0-9 and _), and this is none; "
            "secrets are named, never written here"
        )
        return None
    if name.startswith(SETTINGS_PREFIX):
        table.mistake(
            f"{key} {quoted(name)}: names that begin with STL_ are settings of the program; choose another"
        )
        return None
    return name


def _read_form(
    name: str, table: Table, sources: Names, providers: Mapping[str, Collection[str]]
) -> Form | None:
    table.refuse_keys_except(*FORM)
    if not FORM_NAME.fullmatch(name):
        table.mistake(
            f"{quoted(name)} cannot be a form's name, which is part of its address; use a-z, 0-9, _ and -"
        )
    provider = table.choice("provider", providers, required=True)
    secret, token = read_environment_name(table, "secret_env"), read_environment_name(table, "token_env")
    written = table.choice("auth", AUTHS)
    auth = _auth_of(table, provider, written)
    source = table.reference("source", sources, "the name of a source")
    fields = _read_fields(table, providers.get(provider or "", ()))
    verify_token = read_environment_name(table, "verify_token_env")
    api_token = read_environment_name(table, "api_token_env")
    api_url, wait = _read_address(table), _read_wait(table)
    api_forms = _read_api_forms(table, provider)
    rate_limit = _read_rate(table)
    honeypot = _read_honeypot(table)
    if provider is None or auth is None:
        return None
    return Form(
        name,
        provider,
        auth,
        secret,
        token,
        source,
        fields,
        verify_token,
        api_token,
        api_url,
        wait,
        rate_limit=rate_limit,
        honeypot=honeypot,
        api_forms=api_forms,
    )


def _read_honeypot(table: Table) -> str | None:
    """A field that only a machine fills in: never one that a form asks everybody for."""
    name = table.text("honeypot", 'the name of a field that people do not see, such as "website2"')
    known = lead_field_named(name.removeprefix("custom.")) if name is not None else None
    if name is not None and known in _ASKED_OF_EVERYBODY:
        table.mistake(
            f"honeypot {quoted(name)} is what people fill in themselves ({known}), so every lead would be flagged; "
            'name a field that they do not see, such as "website2"'
        )
    return name


def _read_api_forms(table: Table, provider: str | None) -> tuple[str, ...]:
    """What the tool itself calls the form: it becomes part of what its API is asked, so it is nothing but a name."""
    known = API_FORMS.get(provider or "")
    expected = (
        f'the name that {provider} has for the form, such as "{known[1]}", or a list of them' if known else ""
    )
    names = table.texts("api_forms", expected or "the names that the tool has for the form")
    if not names:
        return ()
    if known is None:
        if provider is not None:
            table.mistake(
                f"api_forms: {provider} keeps no list that can be asked for; those that do: {', '.join(API_FORMS)}"
            )
        return ()
    for name in names:
        if not known[0].fullmatch(name):
            table.wrong("api_forms", name, expected)
    if not table.meant("api_token_env"):
        table.mistake(
            "api_forms needs api_token_env, the name of the variable that holds the token for that API"
        )
    return tuple(dict.fromkeys(names))


def _read_address(table: Table) -> str | None:
    address = table.text("api_url", 'an address such as "https://graph.facebook.com/v23.0"')
    if address is not None and not _ADDRESS.fullmatch(address):
        table.wrong("api_url", address, "an address that begins with https:// (or http://), without a query")
        return None
    return address.rstrip("/") if address else None


def _read_wait(table: Table) -> timedelta:
    text = table.text("wait_for_data", 'a duration in quotes, such as "60s"')
    if text is None:
        return WAIT_FOR_DATA
    try:
        wait = parse_duration(text)
    except ValueError as error:
        table.mistake(f"wait_for_data: {error}")
        return WAIT_FOR_DATA
    if wait > LONGEST_WAIT:
        table.mistake(f"wait_for_data {quoted(text)} is longer than a day; a lead waits for nobody that long")
    return wait


def _auth_of(table: Table, provider: str | None, written: str | None) -> str | None:
    """How the form proves itself; None with a mistake noted where the keys do not say it once and clearly."""
    signed, shared, open_door = "secret_env" in table, "token_env" in table, written == "none"
    ways = [
        way
        for way, given in (("secret_env", signed), ("token_env", shared), ('auth = "none"', open_door))
        if given
    ]
    if len(ways) > 1:
        table.mistake(f"it has {' and '.join(ways)}; keep exactly one of {_WAYS}")
        return None
    if not ways:
        missing = {"signature": "secret_env", "standard-webhooks": "secret_env", "token": "token_env"}.get(
            written or ""
        )
        if missing is not None:
            table.mistake(
                f'auth = "{written}" needs {missing}, the name of the variable that holds the secret'
            )
        elif not table.meant("auth", "secret_env", "token_env"):
            table.mistake(f"nothing says how it proves itself; add {_WAYS}")
        return None
    if signed and provider in UNSIGNED:
        table.mistake(
            f'{provider} signs nothing, so secret_env proves nothing; use token_env, or auth = "none"'
        )
        return None
    meant = (
        "none"
        if open_door
        else "token"
        if shared
        else "standard-webhooks"
        if provider in ("generic", "standard_webhooks")
        else "signature"
    )
    if provider is not None and written is not None and written != meant:
        table.mistake(
            f'auth = "{written}" does not fit: {ways[0]} of provider "{provider}" means auth = "{meant}"; remove auth'
        )
        return None
    return meant


def _read_rate(table: Table) -> RateLimit | None:
    expected = 'a number in a second, minute or hour, such as "10/s", "600/m" or "5000/h"'
    written = table.text("rate_limit", expected)
    if written is None:
        return None
    found = RATE.fullmatch(written.strip())
    if found is None:
        table.wrong("rate_limit", written, expected)
        return None
    return RateLimit(int(found[1]), _RATE_UNITS[found[2]])


def _read_fields(table: Table, kinds: Collection[str]) -> Mapping[str, str]:
    section = table.table("fields", 'a table such as { company = "ref:company_name" }')
    if section is None:
        return {}
    fields: dict[str, str] = {}
    for name, selector in _flat(section.values):
        if name not in LEAD_FIELDS and not (name.startswith("custom.") and name != "custom."):
            section.mistake(f"{quoted(name)} is no field of a lead; {field_hint(name, LEAD_FIELDS)}")
        elif not isinstance(selector, str) or not selector.strip():
            section.wrong(name, selector, 'the text that selects an answer, such as "ref:company_name"')
        elif kinds and ":" in selector and (kind := selector.partition(":")[0]) not in kinds:
            section.mistake(
                f"{name}: {quoted(selector)} selects nothing, since {quoted(kind)} is no kind of selector; "
                f"{hint(kind, kinds, f'it takes {one_of(kinds)} and a colon, or a name alone')}"
            )
        else:
            fields[name] = selector
    return fields


def _flat(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, selector in fields.items():
        if name == "custom" and isinstance(selector, Mapping):
            yield from ((f"custom.{inner}", value) for inner, value in selector.items())
        else:
            yield name, selector
