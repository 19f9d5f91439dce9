"""The signed link of an alert: who is asked, until when, and nobody else."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import MONDAY, rep, team

from speed_to_lead.core.answer import (
    Answer,
    Asked,
    UnusableLink,
    answered_by,
    link_token,
    read_token,
    secrets_of,
)

SECRET, OLD = b"a secret of sixteen and more", b"the secret there was before"
ASKED = Asked("1a2042d4c01f", "ana")
DAY = timedelta(days=1)


@given(
    lead_id=st.from_regex(r"[A-Za-z0-9:_.-]{1,60}", fullmatch=True),
    rep=st.from_regex(r"[A-Za-z0-9._-]{0,30}", fullmatch=True),
    destination=st.from_regex(r"[A-Za-z0-9._-]{0,30}", fullmatch=True),
)
def test_a_token_says_who_is_asked(lead_id: str, rep: str, destination: str) -> None:
    """Whatever the lead is called, where nobody has it, and in a token of before destinations were in it."""
    asked = Asked(lead_id, rep, destination)
    token = link_token(asked, MONDAY + DAY, [SECRET])
    assert asked == read_token(token, [SECRET], MONDAY)
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_token_sent_before_destinations_were_in_it_still_works() -> None:
    """Signed by an older release: the very letters."""
    token = "HhgL_gVc4XAkWOvR83u31T7zMTc5NTUxMDgwMDAwMCBhbmEgMWEyMDQyZDRjMDFm"
    assert ASKED == read_token(token, [SECRET], MONDAY)


@pytest.mark.parametrize(
    ("destination", "by"),
    [
        ("", "ana"),  # sent by an older release
        ("ana-sms", "ana"),
        ("bo-sms", "bo"),  # told that it is ana's now
        ("desk", "destination:desk"),  # of several reps
        ("bosses", "manager:sdr"),
        ("both", "manager:east and west"),
        ("cy-boss", "destination:cy-boss"),  # cy's own, and the manager's of cy's team
        ("console", "destination:console"),
        ("gone", "destination:gone"),  # meanwhile taken out of the config
    ],
)
def test_an_answer_is_only_a_reps_where_the_destination_is(destination: str, by: str) -> None:
    """A manager's link is the manager's, whoever has the lead."""
    theirs = {"ana": "ana-sms", "bo": "bo-sms", "di": "desk", "ed": "desk"}
    sdr = tuple(replace(rep(name), notify=notify) for name, notify in theirs.items())
    cy = replace(rep("cy"), notify="cy-boss")
    made = {"sdr": ("bosses", sdr), "east": ("both", ()), "west": ("both", ()), "cy": ("cy-boss", (cy,))}
    teams = {
        name: replace(team(), name=name, manager=manager, reps=reps) for name, (manager, reps) in made.items()
    }
    assert by == answered_by(Asked("1a2042d4c01f", "ana", destination), teams, "console")


def test_it_ends() -> None:
    """To the millisecond, whoever has it."""
    token = link_token(ASKED, MONDAY + DAY, [SECRET])
    assert ASKED == read_token(token, [SECRET], MONDAY + DAY - timedelta(milliseconds=1))
    with pytest.raises(UnusableLink, match="run out"):
        read_token(token, [SECRET], MONDAY + DAY)


def test_a_secret_can_be_changed() -> None:
    """The first signs, all count; without any nothing does."""
    token = link_token(ASKED, MONDAY + DAY, [OLD])
    assert ASKED == read_token(token, [SECRET, OLD], MONDAY)
    for secrets in ([SECRET], []):
        with pytest.raises(UnusableLink, match="not one of ours"):
            read_token(token, secrets, MONDAY)


@given(place=st.integers(0, 200), other=st.integers(0, 63))
def test_no_letter_of_it_can_be_changed(place: int, other: int) -> None:
    """Not the lead, not the rep, not the end: each other token is refused, or says the same."""
    token = link_token(ASKED, MONDAY + DAY, [SECRET])
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place %= len(token)
    forged = token[:place] + letters[other] + token[place + 1 :]
    same = base64.urlsafe_b64decode(forged + "==") == base64.urlsafe_b64decode(token + "==")
    if same:
        assert ASKED == read_token(forged, [SECRET], MONDAY)
    else:
        with pytest.raises(UnusableLink):
            read_token(forged, [SECRET], MONDAY)


@pytest.mark.parametrize("junk", ["", "x", "é", "a" * 5000, "AAAA" * 9, "%00"])
def test_junk_is_refused(junk: str) -> None:
    """Never with an error of ours."""
    with pytest.raises(UnusableLink):
        read_token(junk, [SECRET], MONDAY)


def test_secrets_that_could_be_guessed_are_refused() -> None:
    """Sixteen characters at least, each."""
    assert (b"0123456789abcdef", b"fedcba9876543210") == secrets_of(" 0123456789abcdef , fedcba9876543210,")
    with pytest.raises(ValueError, match="at least 16"):
        secrets_of("0123456789abcdef,short")


def test_every_answer_has_words() -> None:
    """They stand on buttons."""
    assert ["I'm on it", "Answered", "Not a lead", "Pass on"] == [one.words for one in Answer]
