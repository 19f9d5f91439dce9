"""`leads import`: columns, mistakes by their line, nothing doubled, and a dry run that touches nothing."""

import csv
import io
import json
import os
import threading
from pathlib import Path

import pytest
from tests.cli.conftest import Run, Running

from speed_to_lead import flow
from speed_to_lead.cli.importing import import_leads
from speed_to_lead.cli.lead_lines import UnusableInput
from speed_to_lead.cli.lead_rows import Columns, columns_of, csv_rows
from speed_to_lead.store import StoreUnavailable

CSV = """Work Mail,Firm,Team Size,Notes\r
ana@example.com,Example,"1,200","likes
tea"\r
,Nobody,3,\r
ben@example.com,"Ben ""B"" Ltd",12,\r
\r
cleo@example.com,Cleo Ltd,7,x,too many\r
ana@example.com,Example,"1,200","likes
tea"\r
dora@example.com\r
"""
MAPS = (
    "--map",
    "Work Mail=email",
    "--map",
    "Firm=company",
    "--map",
    "Notes=-",
    "--map",
    "Team Size=employees",
)


def a_file(tmp_path: Path, content: str | bytes, name: str = "leads.csv") -> str:
    """A file of that content."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def rows(content: bytes, encoding: str = "utf-8", **mapped: str) -> list[tuple[int, object]]:
    """Line and values, or line and problem, of each row."""
    found = csv_rows(io.BytesIO(content), encoding, Columns(mapped))
    return [(row.number, row.problem or dict(row.values)) for row in found]


def test_a_file_becomes_leads_and_bad_lines_are_told(running: Running, tmp_path: Path) -> None:
    """Each bad line by the number an editor shows; the others are leads with the fields that were mapped."""
    file = a_file(tmp_path, CSV)
    finished = running("leads", "import", file, *MAPS, "--source", "referral", "--json")
    assert finished.code == 1
    told = finished.json
    assert [told[name] for name in ("rows", "stored", "known", "repeated", "rejected")] == [6, 3, 0, 1, 2]
    assert [(one["line"], one["reason"].split(",")[0]) for one in told["rejections"]] == [
        (4, "neither an email address nor a phone number was found"),
        (7, "it has 5 values for 4 columns; put quotes around one with commas"),
    ]
    flow.route(running.place, "router-1")
    leads, _ = running.place.store.leads.newest(10)
    assert {lead.lead.fields["email"]: dict(lead.lead.fields) | dict(lead.lead.custom) for lead in leads} == {
        "ana@example.com": {
            "email": "ana@example.com", "company": "Example", "employees": "1,200", "source": "referral",
        },
        "ben@example.com": {
            "email": "ben@example.com", "company": 'Ben "B" Ltd', "employees": "12", "source": "referral",
        },
        "dora@example.com": {"email": "dora@example.com", "source": "referral"},
    }  # fmt: skip
    assert {lead.source for lead in leads} == {"referral"}


def test_the_same_file_again_doubles_nothing(running: Running, tmp_path: Path) -> None:
    """Before it is routed the router drops it, afterwards it is known before it is stored, also when keys are forgotten."""
    file = a_file(tmp_path, "email\nana@example.com\nben@example.com\n")
    for _ in range(2):
        assert running("leads", "import", file, "--json").json["stored"] == 2
    while flow.route(running.place, "router-1").settled:
        pass
    assert running("leads", "import", file, "--json").json["known"] == 2
    store = running.place.store
    client = store.server.client  # type: ignore[attr-defined]
    seen = client.keys(f"{store.server.keys.seen('')}*")  # type: ignore[attr-defined]
    client.delete(*seen)
    again = running("leads", "import", file)
    assert (0, "0 leads stored of 2 rows, 2 imported before.\n") == (again.code, again.out)
    ledger = store.operations.ledger()
    assert [2, 2, 0] == [ledger.leads, ledger.duplicates, ledger.difference]


def test_a_dry_run_needs_no_server(run: Run, tmp_path: Path) -> None:
    """It says what each column would be, and what would be rejected; REDIS_URL is not even set."""
    finished = run("leads", "import", a_file(tmp_path, CSV), *MAPS, "--dry-run")
    assert (1, "") == (finished.code, finished.err)
    assert "3 leads would be stored of 6 rows, 1 the same as a row before, 2 rejected." in finished.out
    assert "Team Size  → employees" in finished.out
    assert "Notes      → -" in finished.out


def test_every_rejected_line_is_in_the_report(run: Run, tmp_path: Path) -> None:
    """A terminal shows the first of them; the file has them all."""
    body = "\n".join(["email", *["nobody"] * 30])
    report = tmp_path / "rejected.csv"
    finished = run("leads", "import", a_file(tmp_path, body), "--dry-run", "--rejected", str(report))
    with report.open(newline="") as stream:
        lines = list(csv.reader(stream))
    assert [lines[0], [line for line, _ in lines[1:]]] == [["line", "reason"], [str(n) for n in range(2, 32)]]
    assert f"10 more were rejected; all of them are in {report}" in finished.err


def test_json_lines_and_a_mapping_file(run: Run, tmp_path: Path) -> None:
    """JSON keeps its kinds of values; a mapping file says the same as --map, and --map wins."""
    lines = [
        b'{"who": "ana@example.com", "size": 7, "custom": {"a": 1}}', b"7", b'{"who": ', b"",
        b'{"who": "ben@example.com"}',
    ]  # fmt: skip
    mapping = tmp_path / "columns.toml"
    mapping.write_text('[columns]\nwho = "phone"\nsize = "custom.size"\nnever = "title"\n')
    file = a_file(tmp_path, b"\n".join(lines), "leads.jsonl")
    finished = run(
        "leads", "import", file, "--mapping", str(mapping), "--map", "who=email", "--dry-run", "--json"
    )
    assert [finished.json["stored"], [one["line"] for one in finished.json["rejections"]]] == [2, [2, 3]]
    assert {"who": "email", "size": "custom.size"} == finished.json["columns"]
    assert 'No line has "never"' in finished.err


def test_standard_input_is_json_lines_unless_said_otherwise(run: Run) -> None:
    """A pipe has no name that says what it is."""
    as_json = run("leads", "import", "-", "--dry-run", "--json", stdin=b'{"email": "ana@example.com"}')
    as_csv = run(
        "leads", "import", "-", "--format", "csv", "--dry-run", "--json", stdin=b"email\nana@example.com\n"
    )
    assert [1, 1] == [as_json.json["stored"], as_csv.json["stored"]]


def test_a_pipe_with_a_name_is_read_to_its_end_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As a shell makes one of <(…): there is no place in it for a bar to show, and asking for one fails."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    pipe = tmp_path / "leads.csv"
    os.mkfifo(pipe)
    content = "email\n" + "".join(f"ana{number}@example.com\n" for number in range(250))
    writer = threading.Thread(target=pipe.write_text, args=(content,))
    writer.start()
    import_leads(str(pipe), dry_run=True, encoding="utf-8", maps=None, mapping=None, source=None)
    writer.join()
    assert "250 leads would be stored of 250 rows" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("Name,Firm\nAna,Example\n", (), 'such as --map "COLUMN=email"'),
        ("", (), "the file is empty"),
        ("email,Firm\na@example.com,x\n", ("--map", "Frm=company"), 'no column "Frm"; did you mean "Firm"?'),
        ("email,Firm\n", ("--map", "Firm=compny"), 'did you mean "company"?'),
        ("email,Firm\n", ("--map", "Firm"), "says no field"),
        ("email,email\n", (), "two columns are called"),
        (b"e-mail,Stra\xdfe\n", (), "--encoding cp1252"),
        ("email\n", ("--encoding", "klingon"), "no encoding"),
        ("email\n", ("--source", "demo_requests"), 'did you mean "demo_request"?'),
        ("email\n", ("--mapping", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(
    run: Run, tmp_path: Path, config_dir: Path, content: str | bytes, options: tuple[str, ...], says: str
) -> None:
    """Said before anything is stored, with what to do."""
    env = {"STL_CONFIG_DIR": str(config_dir)}
    finished = run("leads", "import", a_file(tmp_path, content), *options, env=env)
    assert (2, "") == (finished.code, finished.out)
    assert says in finished.err


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"email;n\na@x.io;1\n", [(2, {"email": "a@x.io", "n": "1"})]),
        (b"email\tn\na@x.io\t1\n", [(2, {"email": "a@x.io", "n": "1"})]),
        (b"\xef\xbb\xbfemail,n\na@x.io,1", [(2, {"email": "a@x.io", "n": "1"})]),
        (b"email,,\na@x.io,x,\n", [(2, {"email": "a@x.io"})]),
        (b"email,n\n\xff,1\nb@x.io,2\n", [(2, "not UTF-8; say how the file is written, such as --encoding cp1252"),
                                          (3, {"email": "b@x.io", "n": "2"})]),
        (b'email,n\n"a"b,1\nb@x.io,2\n', [(2, "not CSV: ',' expected after '\"'"), (3, {"email": "b@x.io", "n": "2"})]),
        (b'email,n\na@x.io,"1\nb@x.io,2\n', [(2, "a value begins with a quote and does not end; lines 2 to 3 are lost to it")]),
    ],
)  # fmt: skip
def test_csv_as_spreadsheets_write_it(content: bytes, found: list[tuple[int, object]]) -> None:
    """Delimiters, the sign at the start, columns without a name; what is broken is told by its line, the rest goes on."""
    assert found == rows(content)


def test_other_encodings() -> None:
    """Windows' Western European, and what Excel calls Unicode text."""
    text = "email,Straße\na@example.com,Köln\n"
    expected = [(2, {"email": "a@example.com", "Straße": "Köln"})]
    assert [expected, expected] == [rows(text.encode(name), name) for name in ("cp1252", "utf-16")]


def test_a_line_without_end_ends_the_reading() -> None:
    """It is no table, and must not fill the memory."""
    ((number, problem),) = rows(b"email\n" + b"x" * 3_000_000)
    assert (2, True) == (number, "nothing behind it was read" in str(problem))


def test_two_columns_of_one_field_are_both_kept() -> None:
    """The field's own name comes first, then what is not blank; the other one stays under its own name."""
    columns = Columns({"Private": "email"})
    assert {"email": "p@x.io", "custom": {"Email": "e@x.io"}} == columns.lead_of(
        {"Email": "e@x.io", "Private": "p@x.io"}
    )
    assert {"email": "e@x.io"} == columns.lead_of({"Work Email": "", "Email": "e@x.io", "Private": " "})
    assert {"email": "e@x.io", "custom": {"Mail": "m@x.io"}} == columns.lead_of(
        {"Mail": "m@x.io", "Email": "e@x.io"}
    )


def test_a_mapping_file_without_its_table_is_refused(tmp_path: Path) -> None:
    """It says what the table looks like."""
    file = tmp_path / "columns.toml"
    file.write_text('email = "email"\n')
    with pytest.raises(UnusableInput, match=r"\[columns\]"):
        columns_of((), file)


def test_a_server_that_goes_away_in_the_middle(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored is said, and that importing again doubles nothing."""
    monkeypatch.setattr("speed_to_lead.cli.importing.STORED_AT_ONCE", 2)
    from speed_to_lead.store.queue import RedisQueue

    add_many, calls = RedisQueue.add_many, []

    def breaks(queue: RedisQueue, submissions: list[object]) -> None:
        calls.append(len(submissions))
        if len(calls) == 2:
            raise StoreUnavailable("ConnectionError")
        add_many(queue, submissions)  # type: ignore[arg-type]

    monkeypatch.setattr(RedisQueue, "add_many", breaks)
    lines = "\n".join(json.dumps({"email": f"p{n}@example.com"}) for n in range(5))
    finished = running("leads", "import", a_file(tmp_path, lines, "leads.jsonl"))
    assert (2, [2, 2]) == (finished.code, calls)
    assert "2 leads stored before that; import the file again" in finished.err


def test_the_source_is_one_of_the_rules_in_use(running: Running, config_dir: Path, tmp_path: Path) -> None:
    """What is published counts, for the routers go by it; the directory of this shell may be older or newer."""
    sources = config_dir / "sources.toml"
    before = sources.read_text()
    sources.write_text(before + '\n[sources.fair]\nlabel = "A fair"\nmotion = "event"\n')
    assert running("config", "apply", "--by", "ana", "--wait", "0").code == 0
    sources.write_text(before + '\n[sources.webinar_2]\nlabel = "A webinar"\nmotion = "event"\n')
    file = a_file(tmp_path, "email\nana@example.com\n")
    for options in ((), ("--dry-run",)):
        taken, refused = (
            running("leads", "import", file, "--source", source, *options) for source in ("fair", "webinar_2")
        )
        assert (0, 2) == (taken.code, refused.code)
        assert 'has no source "webinar_2"' in refused.err
        assert "version 1" in refused.err
