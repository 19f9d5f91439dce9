"""What is wrong in config: each mistake with its file, its place and the nearest valid word, all of them at once."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

#: With no near word, so many valid words are listed; more would bury the sentence.
LISTED_WORDS = 12
#: What a file says is repeated up to this length.
QUOTED_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong (or, from `warnings_of`, doubtful), written for the person who edits the file.

    `place` names table and key as the file does, lists counted from 1; "" where the whole file is meant.
    """

    file: str
    place: str
    problem: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.place, self.problem) if part)


class ConfigError(Exception):
    """The config cannot be used; `mistakes` holds every one that was found, in the order of the files."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        count = len(self.mistakes)
        head = "1 mistake in the config:" if count == 1 else f"{count} mistakes in the config:"
        return "\n".join((head, *(f"  {mistake}" for mistake in self.mistakes)))


@dataclass(frozen=True, slots=True)
class Names:
    """The names one kind of thing has, the ones that failed to parse included.

    `known` is None where the file that defines them could not be read: then every name passes, because the
    one mistake in that file must not make a mistake of each line that refers to it.
    """

    what: str
    known: Collection[str] | None

    def problem_with(self, word: str) -> str | None:
        """Why `word` is none of them, with the nearest one; None where it is."""
        if self.known is None or word in self.known:
            return None
        return f"{self.what} {quoted(word)} is unknown; {hint(word, self.known)}"


@dataclass(frozen=True, slots=True)
class Notes:
    """Collects the mistakes of all files, each once."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, file: str, place: str, problem: str) -> None:
        """Note one mistake, on one line whatever the files hold."""
        mistake = Mistake(*map(_printable, (file, place, problem)))
        if mistake not in self.found:
            self.found.append(mistake)


def hint(word: str, valid: Collection[str], otherwise: str = "no known word is near it") -> str:
    """What to write instead of `word`: the nearest valid word, else the valid words where they are few."""
    near = nearest(word, valid)
    if near is not None:
        return f'did you mean "{near}"?'
    if not valid:
        return "there is none yet"
    if len(valid) <= LISTED_WORDS:
        return f"expected {one_of(sorted(valid))}"
    return otherwise


def nearest(word: str, valid: Collection[str]) -> str | None:
    """The valid word most like `word`, capitals and the choice of `-`, `_` or space aside; None where none is near."""
    by_fold = {_fold(candidate): candidate for candidate in sorted(valid)}
    folded = _fold(word[:QUOTED_LENGTH])
    close = get_close_matches(folded, by_fold, n=1)
    return by_fold[close[0]] if close else None


def one_of(words: Collection[str]) -> str:
    """`"a"`, `"a" or "b"`, `"a", "b" or "c"`."""
    texts = [f'"{word}"' for word in words]
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def quoted(text: str) -> str:
    """The text in quotes, and not for ever."""
    return f'"{text[: QUOTED_LENGTH - 3]}..."' if len(text) > QUOTED_LENGTH else f'"{text}"'


def _printable(text: str) -> str:
    """One line of what a terminal shows as it is; the rest as escapes, so that no file can play with a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _fold(word: str) -> str:
    return word.strip().casefold().replace("-", "_").replace(" ", "_")
