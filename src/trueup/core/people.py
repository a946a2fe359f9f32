"""Who did something: two names of one person, so that four eyes are two people's.

A person acts under the name of the system's user, or under that of a token (`api:NAME`), which is spelt anew each time.
"""

from unicodedata import normalize

_DOOR = "api:"


def person(actor: str) -> str:
    """Return whom a name means: without what says how they came in, whatever its case and the blanks around it."""
    name = normalize("NFKC", actor).casefold().strip()
    return name.removeprefix(_DOOR).strip()


def same_person(one: str, other: str) -> bool:
    """Say whether two names may be one person's."""
    return person(one) == person(other)
