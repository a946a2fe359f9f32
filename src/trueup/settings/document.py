"""trueup.toml as tables that name themselves in every error."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trueup.core.errors import ConfigurationError, nearest
from trueup.settings.urls import masked
from trueup.settings.values import Place, Rule, T, shown

FILE_NAME = "trueup.toml"

_POSITION = re.compile(r" \((?:at line (\d+), column \d+|at end of document)\)$")


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a file: `label` is how messages name it, `raw` what stands in it."""

    file: str
    label: str
    raw: Mapping[str, object]

    def place(self, key: str) -> Place:
        """Return the place of a key."""
        return Place(f"{self.file}, {self.label}", key)

    def read(self, key: str, rule: Rule[T]) -> T | None:
        """Read a key; None where it is not there."""
        return self.place(key).read(self.raw[key], rule) if key in self.raw else None

    def need(self, key: str, rule: Rule[T]) -> T:
        """Read a key that must be there."""
        if key not in self.raw:
            raise self.place(key).refused("it is missing", f"Allowed: {rule.allowed}.")
        return self.place(key).read(self.raw[key], rule)

    def only(self, known: Iterable[str], hint: Callable[[str], str] | None = None) -> None:
        """Refuse the first key that is not known, with the nearest that is."""
        names = list(known)
        for key in self.raw:
            if key not in names:
                do = hint(key) if hint else nearest(key[:100].lower(), names)
                raise self.place(key).refused("trueup has no such setting", do)

    def table(self, key: str, label: str) -> "Table":
        """Return the table under a key, empty where there is none; messages call it by the label."""
        value = self.raw.get(key, {})
        if not isinstance(value, dict):
            raise self.place(key).refused(f"{shown(value)} is not a table", "Write name = value pairs in it.")
        return Table(self.file, label, value)

    def tables(self, key: str) -> list["Table"]:
        """Return the tables of an array of tables, none where there is no such array."""
        value = self.raw.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.place(key).refused(f"{shown(value)} is no series of tables", f"Begin each one with [[{key}]].")
        return [Table(self.file, f"[[{key}]] number {number},", item) for number, item in enumerate(value, 1)]

    def entries(self, rule: Rule[str]) -> dict[str, str]:
        """Read every value of a table whose keys are free."""
        return {key: self.place(key).read(value, rule) for key, value in self.raw.items()}


def no_document() -> Table:
    """Return the table that stands for a file where there is none."""
    return Table(FILE_NAME, "top level,", {})


def read_document(path: Path, text: str) -> Table:
    """Parse the text of a file; ConfigurationError names the file and the line."""
    try:
        return Table(named(path), "top level,", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, *_located(str(error), text)) from None
    except RecursionError:
        raise _not_toml(path, "it is nested too deep") from None
    except ValueError:
        raise _not_toml(path, "a number in it is too long") from None


def _located(message: str, text: str) -> tuple[str, int | None]:
    """Return what the parser says is wrong, and the line of it."""
    position = _POSITION.search(message)
    if position is None:
        return message, None
    wrong = message[: position.start()]
    return wrong[:1].lower() + wrong[1:], int(position[1] or text.rstrip().count("\n") + 1)


def _not_toml(path: Path, wrong: str, line: int | None = None) -> ConfigurationError:
    where = f"{named(path)}, line {line}," if line else named(path)
    return ConfigurationError(f"{where} is not TOML: {wrong}.", "Text stands in quotes, tables in [brackets].")


def read_file(path: Path) -> str:
    """Return the text of a file; ConfigurationError where it cannot be read, FileNotFoundError where it is not."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "this is no path"
        raise ConfigurationError(f"{named(path)} cannot be read: {reason}.", "Check the path and its rights.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{named(path)}, line {line} is not UTF-8.", "Save the file as UTF-8.") from None


def named(path: Path) -> str:
    """Return a file's name as a message may hold it, even where somebody gave a URL for a path."""
    text = masked(str(path))
    return text if text.isprintable() else repr(text)
