"""Which destinations may have their storms told as digests."""

import pytest
from tests.config.builders import NOW, PROVIDERS, ConfigDirectory

from speed_to_lead.config import ConfigError, load_config
from speed_to_lead.destinations import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_has_an_incident_for_each_lead_has_no_digests(config: ConfigDirectory, kind: str) -> None:
    """An incident of many leads would end with none of them."""
    way = KINDS[kind].options.ways[0] if KINDS[kind].options.ways else ()
    needed = (*KINDS[kind].options.required, *way)
    values = {"to": '"+15551234567"' if kind == "sms" else '"desk@example.com"'}
    lines = [f"{key} = " + values.get(key, '"A_NAME"') for key in needed]
    config.replace(
        "alerts.toml",
        'type = "email"\nto = ["desk@example.com"]',
        "\n".join([f'type = "{kind}"', *lines, "digest_over = 20"]),
    )
    options = {name: one.options for name, one in KINDS.items()}
    try:
        load_config(config.directory, providers=PROVIDERS, kinds=options, now=NOW)
    except ConfigError as error:
        said = [str(mistake) for mistake in error.mistakes]
    else:
        said = []
    wanted = (
        f'alerts.toml: destinations.desk: a destination of type "{kind}" has no digests, for each lead is an incident there;'
        " remove digest_over"
    )
    assert said == ([wanted] if kind in ("pagerduty", "opsgenie") else [])
