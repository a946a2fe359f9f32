"""The rules of lifecycle integrity as SQL: one text for the constraint, the triggers and the counting.

What Python strips as white space is named character by character, and everything compares byte by byte: a collation of
the database never decides whether an id is well formed. SQLite's own functions end a text at a NUL character, so that
its length in bytes is looked at too.
"""

from trueup.core.integrity.rules import ACTIONS, BLANKS, RuleKind

_ACTIONS = ", ".join(f"'{action}'" for action in ACTIONS)
_SQLITE_BLANKS = f"char({', '.join(str(ord(blank)) for blank in BLANKS)})"
_LONGEST = 124
"""The characters of the longest trade id."""


def holds_sql(kind: RuleKind, column: str, dialect: str, *, ascii_only: bool = False) -> str:
    """Return the condition that a value keeps a rule, never unknown; `column` is its quoted name, alias and all.

    `ascii_only` is for a Postgres whose encoding has no other white space.
    """
    sql = _sqlite(kind, column) if dialect == "sqlite" else _postgres(kind, column, ascii_only=ascii_only)
    return f"({column} IS NULL OR {sql})"


def _sqlite(kind: RuleKind, column: str) -> str:
    is_text, trimmed = f"typeof({column}) = 'text'", f"trim({column}, {_SQLITE_BLANKS})"
    if kind is RuleKind.ACTION:
        return f"({is_text} AND upper({trimmed}) IN ({_ACTIONS}))"
    if kind is RuleKind.NOT_BLANK:
        return f"({column} GLOB '*[!-~]*' OR NOT ({is_text} AND {trimmed} = ''))"
    formed = (
        f"{column} GLOB 'TRD-?*' AND substr({column}, 5) NOT GLOB '*[^A-Za-z0-9._:-]*'"
        f" AND length({column}) <= {_LONGEST} AND length(CAST({column} AS BLOB)) = length({column})"
    )
    return f"({is_text} AND (({formed}) OR {trimmed} = ''))"


def _postgres(kind: RuleKind, column: str, *, ascii_only: bool) -> str:
    """Return a rule on a value that is not NULL; what nearly every value is comes first, since it is soon told.

    The length stands beside the pattern: a bound inside of it makes Postgres forty times slower.
    """
    text = f'CAST({column} AS text) COLLATE "C"'
    trimmed = f"btrim({text}, {_postgres_blanks(ascii_only)})"
    if kind is RuleKind.ACTION:
        return f"{text} IN ({_ACTIONS}) OR upper({trimmed}) IN ({_ACTIONS})"
    if kind is RuleKind.NOT_BLANK:
        return f"{text} ~ '[!-~]' OR {trimmed} <> ''"
    formed = f"{text} ~ '^TRD-[A-Za-z0-9._:-]+$' AND length({text}) <= {_LONGEST}"
    return f"({formed}) OR {trimmed} = ''"


def _postgres_blanks(ascii_only: bool) -> str:
    escaped = [rf"\u{ord(blank):04x}" for blank in BLANKS if blank.isascii() or not ascii_only]
    return f"E'{''.join(escaped)}'"
