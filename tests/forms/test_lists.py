"""The lists that form tools keep: what is asked, and that an entry is read as what the webhook would have sent."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.tools import NAMES, TOKEN, Sent, Tool, form_of

from speed_to_lead import forms
from speed_to_lead.config.shapes import API_FORMS
from speed_to_lead.core.settlement import Reading
from speed_to_lead.core.submission import LISTED_HEADER, Submission, UnreadableSubmission
from speed_to_lead.forms import lists
from speed_to_lead.forms.fetches import Question, with_answers

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SENT = [Sent(number, NOON + timedelta(minutes=number)) for number in range(1, 6)]

pytestmark = pytest.mark.parametrize("provider", sorted(forms.LISTS))


def asking(tool: Tool) -> Callable[[Question], Any]:
    """Asks the tool, and refuses to go on where it fails."""
    http = httpx.Client(transport=httpx.MockTransport(tool))

    def ask(question: Question) -> Any:
        answer = http.get(f"https://tool.test/base{question.path}", headers=dict(question.headers))
        if answer.status_code != 200:
            raise lists.Unanswered(str(answer.status_code))
        return lists.page_of(answer.content)

    return ask


def listed(tool: Tool, since: datetime = NOON, name: str = "") -> list[lists.Listed]:
    form = form_of(tool.provider)
    wanted = lists.Wanted(form, name or NAMES[tool.provider], since, NOON + timedelta(hours=1), TOKEN)
    return list(forms.LISTS[tool.provider].listed(wanted, asking(tool)))


def reading_of(body: Any, provider: str, headers: dict[str, str]) -> Reading:
    form = form_of(provider)
    submission = Submission("s1", form.name, NOON, body, "application/json", headers)
    return Reading("", submission, form, forms.read(submission, form))


def encoded(entry: lists.Listed) -> bytes:
    return json.dumps(entry.body).encode()


def of_webhook(tool: Tool, one: Sent) -> Reading:
    """The webhook's delivery as it is read, its ids asked for where it holds nothing else."""
    form = form_of(tool.provider)
    submission = Submission("s1", form.name, NOON, tool.webhook(one), "application/json")
    back = forms.ASK_BACK.get(tool.provider)
    if back is not None and forms.read(submission, form).is_incomplete:
        answers = [asking(tool)(question) for question in back.questions(submission, form, TOKEN)]
        submission = with_answers(submission, answers, is_late=False)
    return Reading("", submission, form, forms.read(submission, form))


def test_an_entry_is_what_the_webhook_would_have_sent(provider: str) -> None:
    """The same person, the same fields, one key in common, and the time that the form says."""
    tool = Tool(provider, SENT)
    found = listed(tool)
    assert {entry.at for entry in found} == {one.at for one in SENT}
    by_email = {}
    for entry in found:
        read = reading_of(encoded(entry), provider, {**entry.headers, LISTED_HEADER: "yes"})
        assert read.parsed is not None
        by_email[read.parsed.lead.get("email")] = read
    for one in SENT:
        by_list, by_hook = by_email[one.email].parsed, of_webhook(tool, one).parsed
        assert by_list is not None
        assert by_hook is not None
        assert by_list.submitted_at == one.at
        assert {
            name: by_list.lead.get(name) for name in ("email", "company", "name", "first_name", "last_name")
        } == {
            name: by_hook.lead.get(name) for name in ("email", "company", "name", "first_name", "last_name")
        }
        assert {*by_email[one.email].names} & {*of_webhook(tool, one).names} - {"s1"}


def test_all_pages_are_read_once(provider: str) -> None:
    """However few entries the tool gives at once; and no address of its answers is followed."""
    for most in (1, 2, 3, 5, 100):
        tool = Tool(provider, SENT, most)
        assert len(listed(tool)) == len(SENT)
        assert len(tool.asked) == len(set(tool.asked))
        assert all(asked.startswith("/base/") for asked in tool.asked)


def test_what_was_sent_before_is_left_out(provider: str) -> None:
    """But what has no time of its own, or none that is sure, comes along."""
    tool = Tool(provider, [Sent(1, NOON - timedelta(days=9)), Sent(2, NOON + timedelta(minutes=2))])
    assert [entry.at for entry in listed(tool)] == [NOON + timedelta(minutes=2)]


@pytest.mark.parametrize(
    "damaged", [None, 5, "junk", [], {}, {"id": None, "answers": 5, "uri": {}}, {"id": "x\ud800"}]
)
def test_a_damaged_entry_hides_no_other(provider: str, damaged: Any) -> None:
    """It stands beside the others, to become a dead letter that says what it is."""
    found = listed(Tool(provider, SENT, 3, [damaged]))
    assert {one.at for one in SENT} <= {entry.at for entry in found}
    for entry in found:
        if entry.at is None:
            body = json.dumps(entry.body).encode("utf-8", "replace")
            with pytest.raises(UnreadableSubmission):
                forms.read(
                    Submission("s1", "ads", NOON, body, "application/json", entry.headers), form_of(provider)
                )


@pytest.mark.parametrize("answer", [[], "text", {}, {"items": 5}, {"error": "x"}])
def test_what_is_no_list_is_said_to_be_none(provider: str, answer: Any) -> None:
    """An answer of another shape is not an empty list: then nobody would ever hear of it."""
    wanted = lists.Wanted(form_of(provider), NAMES[provider], NOON, NOON, TOKEN)
    with pytest.raises(lists.Unanswered):
        list(forms.LISTS[provider].listed(wanted, lambda _: answer))


def test_a_list_without_end_ends(provider: str) -> None:
    """A tool that gives its first page for ever is left, and said to have no end."""
    tool = Tool(provider, SENT, 2)
    first: dict[str, Any] = {}
    ask = asking(tool)

    def stuck(question: Question) -> Any:
        return first.setdefault(question.path.partition("?")[0], ask(question))

    wanted = lists.Wanted(form_of(provider), NAMES[provider], NOON, NOON, TOKEN)
    with pytest.raises(lists.Unanswered, match="no end"):
        list(forms.LISTS[provider].listed(wanted, stuck))


def test_a_list_of_ever_new_pages_ends(provider: str) -> None:
    """A tool that names one empty page after another is left, too."""
    numbers = iter(range(10**9))
    count = 0

    def ask(question: Question) -> Any:
        nonlocal count
        count += 1
        return {"next": next(numbers), "of": provider, "asked": question.path}

    endless = lists.pages(ask, Question, lambda page: str(page["next"]))
    with pytest.raises(lists.Unanswered, match="pages of it were read"):
        list(endless)
    assert count == lists.MOST_PAGES


def test_config_knows_what_each_tool_calls_a_form(provider: str) -> None:
    """The names that config takes are those the lists ask with, and each has an example that it takes."""
    assert set(API_FORMS) == set(forms.LISTS)
    pattern, example = API_FORMS[provider]
    assert pattern.fullmatch(example)
    assert pattern.fullmatch(NAMES[provider])
    for evil in ("a/../b", "a?b", "a#b", "a b", "a\n", "", "a/b/c/d"):
        assert not pattern.fullmatch(evil)
