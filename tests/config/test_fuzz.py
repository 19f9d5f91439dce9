"""Whatever is done to the files, the answer is a configuration or its mistakes, never another error."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.config.builders import NOW, SMALL, load

from speed_to_lead.config import ConfigError, Mistake, warnings_of

SHIPPED = Path(__file__).parents[2] / "config"
TEXTS = {name: ((SHIPPED / name).read_text(), small) for name, small in SMALL.items()}
#: What hands and editors leave behind, and what a TOML value can be.
SCRAPS = (
    '""', '"x"', "0", "-1", "1e400", "nan", "true", "[]", "[[]]", "{}", "{ a = 1 }", "2026-02-29", "2026-01-01",
    "07:32:00", "1979-05-27T07:32:00Z", "\n", '"', "[", "]", "=", ".", "#", "\ufeff", "\x00", "é", "9" * 30, '"*"',
    "custom", "rep", "manager", "missing", r'"\n"', r'"a\u0000b"', '"""',
)  # fmt: skip


@st.composite
def broken_texts(draw: st.DrawFn, name: str) -> str:
    """The file with a few pieces deleted, doubled or replaced, mostly whole values, so that it often stays TOML."""
    text = draw(st.sampled_from(TEXTS[name]))
    for _ in range(draw(st.integers(0, 3))):
        lines = text.split("\n")
        number = draw(st.integers(0, len(lines) - 1))
        line = lines[number]
        match draw(st.sampled_from(("value", "value", "delete", "double", "character", "key"))):
            case "value" if "=" in line:
                lines[number] = f"{line.partition('=')[0]}= {draw(st.sampled_from(SCRAPS))}"
            case "key" if "=" in line:
                lines[number] = f"{draw(st.sampled_from(SCRAPS))} ={line.partition('=')[2]}"
            case "delete":
                del lines[number]
            case "double":
                lines.insert(draw(st.integers(0, len(lines))), line)
            case _:
                at = draw(st.integers(0, len(line)))
                scrap = draw(st.sampled_from(SCRAPS) | st.characters(codec="utf-8"))
                lines[number] = line[:at] + scrap + line[at + draw(st.integers(0, 2)) :]
        text = "\n".join(lines)
    return text


def mistakes_in(files: dict[str, bytes]) -> tuple[Mistake, ...]:
    """The mistakes of these files; () where they load, and then their warnings were asked for as well."""
    with TemporaryDirectory() as directory:
        for name, content in files.items():
            Path(directory, name).write_bytes(content)
        try:
            warnings_of(load(Path(directory)), NOW)
        except ConfigError as error:
            return error.mistakes or (Mistake("", "", "a ConfigError without mistakes"),)
    return ()


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({name: broken_texts(name) for name in SMALL}))
def test_broken_files_raise_nothing_but_config_errors(files: dict[str, str]) -> None:
    """Every message is one printable line and names a file, and whatever loads can be checked for warnings."""
    mistakes = mistakes_in({name: text.encode() for name, text in files.items()})
    assert [m for m in mistakes if m.file not in SMALL or not str(m).isprintable()] == []


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(tuple(SMALL)), st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_config_errors(name: str, content: bytes) -> None:
    """A file that is no text at all is told among the others."""
    files = {file: text.encode() for file, text in SMALL.items()} | {name: content}
    assert [mistake for mistake in mistakes_in(files) if mistake.file not in SMALL] == []
