"""`config apply|history|show|diff|rollback`: one live config for all processes, who made it so, and back again."""

import getpass
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.conftest import Running

from speed_to_lead import flow
from speed_to_lead.cli import publish
from speed_to_lead.config.files import digest_of
from speed_to_lead.store.contract import RunningConfig


def edit(directory: Path, name: str, right: str, wrong: str) -> None:
    """Change one file as somebody with an editor would."""
    path = directory / name
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong))


@pytest.fixture
def published(running: Running, config_dir: Path) -> Running:
    """Version 1 is live: the directory as it is."""
    finished = running("config", "apply", "--by", "ana", "-m", "first", "--wait", "0")
    assert finished.code == 0, finished
    return running


def test_apply_publishes_the_directory(running: Running, config_dir: Path) -> None:
    """The first version: who, why, and a word that directories do not count any more."""
    finished = running("config", "apply", "--by", "ana", "--message", "We begin", "--json", "--wait", "0")
    assert (finished.code, finished.json["published"]) == (0, True)
    version = finished.json["version"]
    assert (version["version"], version["by"], version["message"]) == (1, "ana", "We begin")
    live = running.place.store.configs.current()
    assert live is not None
    assert (live.digest, version["digest"]) == (running.place.config.rulebook.digest,) * 2
    assert running.place.store.configs.texts(live.digest) == {
        path.name: path.read_bytes() for path in config_dir.iterdir()
    }


def test_apply_takes_a_directory_by_its_name(running: Running, config_dir: Path, tmp_path: Path) -> None:
    """As an argument, or with --config, whatever the setting says."""
    candidate = config_dir.rename(tmp_path / "candidate")
    assert running("config", "apply", str(candidate), "--wait", "0").code == 0
    edit(candidate, "slas.toml", '"5m"', '"7m"')
    assert running("config", "apply", "--config", str(candidate), "--wait", "0").code == 0
    by = [version.by for version in running.place.store.configs.history(5)]
    assert by == [getpass.getuser()] * 2


def test_apply_refuses_what_check_refuses(published: Running, config_dir: Path) -> None:
    """Every mistake at once, exit 1, and what was live is live."""
    edit(config_dir, "routing.toml", 'team = "inbound"', 'team = "inbond"')
    edit(config_dir, "slas.toml", '"5m"', '"5 minutes"')
    finished = published("config", "apply")
    checked = published("config", "check")
    assert (finished.code, finished.out) == (1, checked.out)
    assert "2 mistakes" in finished.err
    assert "nothing was published" in finished.err
    (config_dir / "teams.toml").unlink()
    assert f"there is no such file in {config_dir}" in published("config", "apply").out
    live = published.place.store.configs.current()
    assert live is not None
    assert live.number == 1


def test_apply_of_no_directory_is_wrong_usage(published: Running) -> None:
    """As for check: exit 2, and what was looked for."""
    finished = published("config", "apply", "nowhere", "--json")
    assert (finished.code, finished.json["why"]) == (2, "mistakes")
    assert "there is no such directory" in finished.out


def test_the_same_again_is_no_version(published: Running) -> None:
    """A pipeline that publishes at each run makes no history of nothing."""
    finished = published("config", "apply", "--wait", "0")
    assert (finished.code, "Nothing to publish: version 1" in finished.out) == (0, True)
    assert len(published.place.store.configs.history(5)) == 1


def test_who_was_overtaken_is_told_by_whom(published: Running, config_dir: Path) -> None:
    """Made on version 1, but version 2 came first: exit 1, and nothing is published."""
    edit(config_dir, "slas.toml", '"5m"', '"7m"')
    assert published("config", "apply", "--by", "ben", "-m", "Mine", "--expect", "1", "--wait", "0").code == 0
    edit(config_dir, "slas.toml", '"7m"', '"9m"')
    finished = published("config", "apply", "--by", "ana", "--expect", "1")
    assert finished.code == 1
    assert "version 2" in finished.out
    assert "by ben: Mine is live" in finished.out
    refused = published("config", "apply", "--expect", "1", "--json")
    assert (refused.code, refused.json["why"], refused.json["live"]["by"]) == (1, "overtaken", "ben")


def test_of_two_at_once_one_is_told_that_the_other_came_first(
    published: Running, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both read version 1; whoever writes second hears of it, though nobody said what they expect."""
    edit(config_dir, "slas.toml", '"5m"', '"7m"')
    read = publish.texts_of_directory
    is_first = [True]

    def overtaken(directory: Path) -> dict[str, bytes]:
        texts = read(directory)
        if is_first.pop() if is_first else False:
            edit(config_dir, "slas.toml", '"7m"', '"8m"')
            thread = threading.Thread(
                target=lambda: publish.apply(by="ben", wait=0, message="Mine", candidate=None, config=None)
            )
            thread.start()
            thread.join()
        return texts

    monkeypatch.setattr(publish, "texts_of_directory", overtaken)
    finished = published("config", "apply", "--by", "ana")
    assert (finished.code, "by ben: Mine is live" in finished.out) == (1, True)
    assert [version.by for version in published.place.store.configs.history(5)] == ["ben", "ana"]


def test_history_is_told_newest_first(published: Running, config_dir: Path) -> None:
    """A line each, the live one marked; for programs the same as objects."""
    edit(config_dir, "slas.toml", '"5m"', '"7m"')
    published("config", "apply", "--by", "ben", "-m", "Seven\nminutes", "--wait", "0")
    text = published("config", "history")
    assert text.code == 0
    assert [line.split()[0] for line in text.out.splitlines()] == ["VERSION", "2", "1"]
    assert "2 live" in text.out
    assert "Seven minutes" in text.out
    found = published("config", "history", "--json", "--limit", "1").json
    assert [(one["version"], one["by"], one["live"]) for one in found["versions"]] == [(2, "ben", True)]
    assert (found["total"], found["bytes"] > 500) == (2, True)


def test_history_of_nothing_says_what_counts(running: Running) -> None:
    """Before the first version: the directories."""
    finished = running("config", "history")
    assert (finished.code, "works with its own directory" in finished.out) == (0, True)
    assert running("config", "history", "--json").json == {"versions": [], "total": 0, "bytes": 0}


def test_diff_says_what_apply_would_change(published: Running, config_dir: Path) -> None:
    """In words and as lines, exit 1; exit 0 and one sentence where nothing would."""
    same = published("config", "diff")
    assert (same.code, "say exactly the same" in same.out) == (0, True)
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    finished = published("config", "diff")
    assert finished.code == 1
    assert 'slas.toml: SLA "inbound-5m" changed: respond_within "5m" → "10m"' in finished.out
    assert '\n-respond_within = "5m"\n+respond_within = "10m"\n' in finished.out
    assert f"--- version 1/slas.toml\n+++ {config_dir}/slas.toml" in finished.out
    assert "@@" not in published("config", "diff", "--summary").out
    found = published("config", "diff", "--json").json
    assert [change["name"] for change in found["changes"]] == ["inbound-5m"]
    assert found["same"] is False


def test_diff_between_versions_and_of_a_broken_directory(published: Running, config_dir: Path) -> None:
    """Any two of them: versions, live, directories; also where a file is no TOML."""
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    published("config", "apply", "--wait", "0")
    for sides in (("1", "2"), ("1",), ("1", "live"), ("1", str(config_dir))):
        finished = published("config", "diff", *sides)
        assert (finished.code, '"5m" → "10m"' in finished.out) == (1, True)
    assert published("config", "diff", "2", "live").code == 0
    (config_dir / "slas.toml").write_text("[slas")
    finished = published("config", "diff")
    assert (finished.code, "it is no TOML" in finished.out) == (1, True)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("diff 7", "there is no version 7"),
        ("diff live nowhere", "there is no such directory"),
        ("diff x1", "there is no such directory"),
        ("rollback 7", "there is no version 7"),
        ("rollback 0", "--help"),
        ("rollback one", "valid integer"),
        ("show 9", "there is no version 9"),
        ("show nine", "give its number, or live"),
        ("apply --by=", "1 to 100 characters"),
        ("apply --by ana\udcff", "--by: it is not UTF-8"),
        ("apply --message why\udcff", "--message: it is not UTF-8"),
        ("rollback 1 -m why\udcff", "--message: it is not UTF-8"),
        ("apply --expect -1", "--help"),
    ],
)
def test_wrong_usage_is_exit_2(published: Running, line: str, says: str) -> None:
    """A version or directory that is not there, or a name that is none, is said in one sentence."""
    finished = published("config", *line.split())
    assert (finished.code, says in finished.err) == (2, True), finished


def test_rollback_is_a_new_version_with_the_old_content(published: Running, config_dir: Path) -> None:
    """History only grows; the new version says which one it restores."""
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    published("config", "apply", "--wait", "0")
    finished = published("config", "rollback", "1", "--by", "cleo", "--wait", "0", "--json")
    assert finished.code == 0
    first, _, third = reversed(published.place.store.configs.history(5))
    assert (third.number, third.digest, third.by, third.restores) == (3, first.digest, "cleo", 1)
    assert third.message == "rollback to version 1"
    again = published("config", "rollback", "1", "--wait", "0")
    assert (again.code, "Nothing to publish: version 3" in again.out) == (0, True)


def test_rollback_refuses_what_this_release_cannot_read(published: Running) -> None:
    """A version from before some other release is checked like any other."""
    store = published.place.store
    live = store.configs.current()
    assert live is not None
    texts = store.configs.texts(live.digest)
    assert texts is not None
    newer = digest_of({**texts, "slas.toml": b"[future]"})
    store.configs.publish(replace(live, number=2, digest=newer), {**texts, "slas.toml": b"[future]"})
    store.configs.publish(replace(live, number=3), texts)
    finished = published("config", "rollback", "2")
    assert (finished.code, "slas.toml" in finished.out) == (1, True)
    assert "1 mistake" in finished.err or "mistakes in version 2" in finished.err


def test_show_gives_a_version_back_as_files(published: Running, config_dir: Path, tmp_path: Path) -> None:
    """On the screen, as an object, or as a directory that is byte for byte the one that was published."""
    before = {path.name: path.read_bytes() for path in config_dir.iterdir()}
    shown = published("config", "show")
    assert (shown.code, "# --- slas.toml\n" in shown.out, "by ana: first" in shown.err) == (0, True, True)
    assert (
        published("config", "show", "1", "--json").json["files"]["slas.toml"] == before["slas.toml"].decode()
    )
    copy = tmp_path / "copy"
    assert published("config", "show", "live", "--to", str(copy)).code == 0
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    again = published("config", "show", "live", "--to", str(copy))
    assert (again.code, "already" in again.err) == (2, True)


def test_apply_says_who_works_with_it_and_who_refuses_it(published: Running, config_dir: Path) -> None:
    """A process that cannot is exit 1, with its reason; one that says nothing is named."""
    store = published.place.store
    for process in ("router@host:1", "web@host:2", "clock@host:3", "auditor@host:3"):
        store.operations.beat(process, store.now())
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    store.configs.note_running("host:1", RunningConfig(2, "new"))
    store.configs.note_running("host:2", RunningConfig(1, "old", 2, "FORM_SECRET is not set"))
    finished = published("config", "apply", "--wait", "0")
    assert finished.code == 1
    assert "1 of 3 processes work with it" in finished.out
    assert "REFUSED by web@host:2, which works with version 1: FORM_SECRET is not set" in finished.out
    assert "not yet: auditor,clock@host:3 says nothing" in finished.out


def test_hostile_words_do_not_reach_the_terminal(published: Running, config_dir: Path) -> None:
    """Who and why are somebody's text: escaped on a screen, and whole in JSON."""
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    evil = "\x1b[2J\u202eevil"
    published("config", "apply", "--by", evil, "-m", evil, "--wait", "0")
    for line in (("config", "history"), ("config", "diff", "1"), ("status",)):
        finished = published(*line)
        assert "\x1b" not in finished.out + finished.err
    assert json.loads(published("config", "history", "--json").out)["versions"][0]["by"] == evil


def test_commands_that_need_rules_take_the_live_ones(published: Running, config_dir: Path) -> None:
    """A rep who is in the live version can be given a lead, whatever the directory here says by now."""
    lead_id = published.routed()
    for name in ("ana", "ben"):
        edit(config_dir, "teams.toml", f'id = "{name}"', f'id = "{name}2"')
    lead = published.place.store.leads.get(lead_id)
    assert lead is not None
    other = "ben" if lead.rep == "ana" else "ana"
    finished = published("leads", "reassign", lead_id, other, "--by", "boss")
    assert finished.code == 0, finished


def test_a_running_clock_does_not_move(published: Running, config_dir: Path) -> None:
    """Promise 11: apply changes nothing of a lead that runs; the next lead has the new SLA."""
    before = published.place.store.leads.get(published.routed())
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    assert published("config", "apply", "--wait", "0").code == 0
    published.place.keep_up(wait=True)
    flow.sweep(published.place)
    after = published.place.store.leads.get(published.routed())
    assert before is not None
    assert after is not None
    kept = published.place.store.leads.get(before.id)
    assert kept is not None
    assert (kept.deadline, kept.steps, kept.config_digest) == (
        before.deadline,
        before.steps,
        before.config_digest,
    )
    assert (after.deadline - after.received_at).total_seconds() == 600
    assert after.config_digest != before.config_digest


def test_templates_are_published_with_the_rest(published: Running, config_dir: Path, tmp_path: Path) -> None:
    """Another wording is another version, which workers load and `config show` gives back as files."""
    (config_dir / "templates").mkdir()
    (config_dir / "templates" / "breached.txt").write_text("Late: {{ whoo }}")
    refused = published("config", "apply")
    assert (1, True) == (refused.code, "templates/breached.txt: line 1: the word" in refused.out)
    (config_dir / "templates" / "breached.txt").write_text("Late: {{ who }}")
    assert published("config", "apply", "--wait", "0").code == 0
    live = published.place.store.configs.current()
    texts = published.place.store.configs.texts(live.digest) if live else None
    assert live is not None
    assert texts is not None
    assert (2, b"Late: {{ who }}") == (live.number, texts["templates/breached.txt"])
    assert published("config", "show", "live", "--to", str(tmp_path / "copy")).code == 0
    assert "Late: {{ who }}" == (tmp_path / "copy" / "templates" / "breached.txt").read_text()
