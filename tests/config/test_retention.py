"""retention.toml: ages as durations, nothing said means for ever, mistakes with their place."""

from datetime import timedelta

import pytest
from tests.config.builders import ConfigDirectory

from speed_to_lead.core.retention import Retention


def test_without_the_file_everything_is_kept(config: ConfigDirectory) -> None:
    """Nothing is thrown away that nobody asked to."""
    assert config.load().retention == Retention()
    assert config.load().retention.keeps_everything


def test_ages(config: ConfigDirectory) -> None:
    """What is named has its age, the rest is kept."""
    config.write({"retention.toml": b'[keep]\nanswered = "365d"\ndead_letters = "90d"\n'})
    expected = Retention(answered=timedelta(days=365), dead_letters=timedelta(days=90))
    assert expected == config.load().retention


def test_it_counts_in_the_digest(config: ConfigDirectory) -> None:
    """The digest names exactly what all files say."""
    before = config.load().rulebook.digest
    config.write({"retention.toml": b"[keep]\n"})
    assert before != config.load().rulebook.digest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            b'[keep]\nanswerd = "3d"',
            'retention.toml: keep: "answerd" is an unknown key; did you mean "answered"?',
        ),
        (b'[keep]\nclosed = "3 weeks"', 'keep: closed: "3 weeks" is not a duration'),
        (b"[keep]\nclosed = 90", "a duration in quotes"),
        (b'[kept]\nclosed = "3d"', 'did you mean "keep"?'),
        (b'keep = "3d"', "a table"),
    ],
)
def test_mistakes(config: ConfigDirectory, text: bytes, says: str) -> None:
    """Each with its place and what was expected."""
    config.write({"retention.toml": text})
    (mistake,) = config.mistakes()
    assert says in mistake
