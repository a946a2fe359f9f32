"""How a single value is read, and how a wrong one is told: by place, with what is wrong and what is allowed."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

from trueup.core.decimals import exactly, read_decimal
from trueup.core.errors import ConfigurationError
from trueup.core.modes import Mode
from trueup.core.repair.policy import Flatness
from trueup.settings.urls import masked

T = TypeVar("T")

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_SHOWN_CHARS = 60
_NUMBER_CHARS = 100
_NUMBER_BITS = 100


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """What a setting may be: `read` raises ValueError saying what is wrong, `allowed` says what is right."""

    read: Callable[[object], T]
    allowed: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a setting stands: a variable of the environment, or a key in a table of a file."""

    source: str
    key: str

    def read(self, value: object, rule: Rule[T]) -> T:
        """Read the value that stands here; ConfigurationError where the rule refuses it."""
        try:
            return rule.read(value)
        except ValueError as error:
            raise self.refused(str(error), f"Allowed: {rule.allowed}.") from None

    def refused(self, wrong: str, do: str) -> ConfigurationError:
        """Return the error that tells what is wrong here."""
        return ConfigurationError(f"{self.source} {spelt(self.key)}: {wrong}.", do)


def variable(name: str) -> Place:
    """Return the place that a variable of the environment is."""
    return Place("Environment variable", name)


def spelt(key: str) -> str:
    """Return a key as a message may hold it."""
    return key if key.isidentifier() and len(key) <= _SHOWN_CHARS else shown(key)


def shown(value: object) -> str:
    """Return a value as a message may hold it: short, on one line, without a URL's password."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(masked(value)) if len(value) <= _SHOWN_CHARS else f"a text of {len(value)} characters"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _NUMBER_BITS else "a huge number"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return "a list"
    return "a table" if isinstance(value, dict) else "a date or time"


def read_text(value: object) -> str:
    """Read text that is not blank."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text")
    if not value.strip():
        raise ValueError("it is empty")
    if not value.isprintable():
        raise ValueError("it holds a line break or another character that cannot be printed")
    return value


def read_name(value: object) -> str:
    """Read the name by which other settings and the command line mean something."""
    name = read_text(value)
    if name != name.strip():
        raise ValueError(f"{shown(name)} begins or ends with a blank")
    return name


def read_prefix(value: object) -> str:
    """Read the prefix of the bot's tags."""
    prefix = read_text(value)
    if ":" in prefix or any(character.isspace() for character in prefix):
        raise ValueError(f"{shown(prefix)} holds a colon or a blank")
    return prefix


def read_words(value: object) -> tuple[str, ...]:
    """Read a list of text, or text with commas; blanks around the words and empty words are left out."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list):
        raise ValueError(f"{shown(value)} is neither a list nor text with commas")
    for word in words:
        if not isinstance(word, str):
            raise ValueError(f"the list holds {shown(word)}, which is not text")
    return tuple(dict.fromkeys(read_text(word).strip() for word in words if word.strip()))


def read_switch(value: object) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str) or value in (0, 1) else None
    if word == "":
        raise ValueError("it is empty")
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{shown(value)} is neither true nor false")
    return word in _TRUE


def read_flatness(value: object) -> Flatness:
    """Read the policy on what the venue still holds."""
    word = read_text(value.strip() if isinstance(value, str) else value).lower()
    if word not in list(Flatness):
        raise ValueError(f"{shown(value)} is no such policy")
    return Flatness(word)


def read_deadman_action(value: object) -> Mode:
    """Read what the gate falls to: a mode in which trading is paused."""
    word = read_text(value).strip().upper().replace("-", "_")
    if word not in Mode.__members__ or not Mode[word].paused:
        raise ValueError(f"{shown(value)} is no mode that pauses trading")
    return Mode[word]


def read_number(value: object) -> Decimal:
    """Read a number exactly; a float by its shortest representation."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("it is empty")
    too_long = isinstance(value, str) and len(value) > _NUMBER_CHARS
    too_big = isinstance(value, int) and value.bit_length() > _NUMBER_BITS
    if too_long or too_big or isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{shown(value)} is not a number that can be used")
    try:
        return read_decimal(value)
    except ValueError as error:
        raise ValueError(f"{shown(value)}{str(error).removeprefix(repr(value))}") from None


def number_between(low: int, high: int | None) -> Callable[[object], Decimal]:
    """Return a reader of numbers in a range, its ends included."""

    def read(value: object) -> Decimal:
        number = read_number(value)
        if number < low or (high is not None and number > high):
            raise ValueError(f"{shown(value)} is {'negative' if number < 0 else 'out of range'}")
        return number

    return read


def seconds_between(low: str, high: int) -> Callable[[object], Decimal]:
    """Return a reader of seconds in a range, its ends included; `low` may be a fraction, as text."""
    between = number_between(0, high)

    def read(value: object) -> Decimal:
        number = between(value)
        if number < Decimal(low):
            raise ValueError(f"{shown(value)} is out of range")
        return number

    return read


def integer_between(low: int, high: int) -> Callable[[object], int]:
    """Return a reader of whole numbers in a range, its ends included."""
    between = number_between(low, high)

    def read(value: object) -> int:
        if isinstance(value, float) or read_number(value).as_tuple().exponent != 0:
            raise ValueError(f"{shown(value)} is not a whole number")
        return int(between(value))

    return read


def milliseconds(unit_ms: int, low_ms: int, high: int) -> Callable[[object], int]:
    """Return a reader of a time in units of so many milliseconds, cut to whole ones; `high` is in units."""
    between = number_between(0, high)

    @exactly
    def read(value: object) -> int:
        time_ms = int(between(value) * unit_ms)
        if time_ms < low_ms:
            raise ValueError(f"{shown(value)} is out of range")
        return time_ms

    return read


NAME = Rule(read_name, "text in quotes that is not blank and neither begins nor ends with a blank")
SWITCH = Rule(read_switch, "true or false (also 1/0, yes/no, on/off)")
AMOUNT = Rule(number_between(0, None), "a number of 0 or more")
