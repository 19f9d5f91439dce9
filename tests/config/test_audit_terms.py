"""`[audit]` of sources.toml: when a quiet source and a silent form are told, mistakes with their place."""

from datetime import timedelta

import pytest
from tests.config.builders import SMALL, ConfigDirectory

from speed_to_lead.core.arrivals import AuditTerms


def with_audit(config: ConfigDirectory, text: str) -> None:
    config.write({"sources.toml": f"{SMALL['sources.toml']}\n{text}".encode()})


def test_without_the_table_the_defaults_hold(config: ConfigDirectory) -> None:
    """A month, and ten submissions."""
    assert AuditTerms(timedelta(days=30), 10) == config.load().audit == AuditTerms()


def test_what_is_named_counts(config: ConfigDirectory) -> None:
    """Each by itself."""
    with_audit(config, '[audit]\nquiet_after = "90d"\n')
    assert AuditTerms(timedelta(days=90)) == config.load().audit
    with_audit(config, '[audit]\nquiet_after = "90d"\nsilent_at = 25\n')
    assert AuditTerms(timedelta(days=90), 25) == config.load().audit


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[audit]\nquiet = "3d"',
            'sources.toml: audit: "quiet" is an unknown key; did you mean "quiet_after"?',
        ),
        ('[audit]\nquiet_after = "3 weeks"', 'audit: quiet_after: "3 weeks" is not a duration'),
        ("[audit]\nquiet_after = 90", "a duration in quotes"),
        ('[audit]\nsilent_at = "10"', "a whole number from 1 to"),
        ("[audit]\nsilent_at = 0", "a whole number from 1 to"),
        ('[[audit]]\nquiet_after = "3d"', "a table"),
        ('[audits]\nquiet_after = "3d"', 'did you mean "audit"?'),
    ],
)
def test_mistakes(config: ConfigDirectory, text: str, says: str) -> None:
    """Each with its place and what was expected."""
    with_audit(config, text)
    (mistake,) = config.mistakes()
    assert says in mistake
