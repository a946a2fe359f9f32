"""All flags: from the environment, else from their table of trueup.toml, else their default."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from trueup.core.errors import nearest
from trueup.settings.backfill_flags import BACKFILL
from trueup.settings.document import Table
from trueup.settings.reconcile_flags import RECONCILE
from trueup.settings.rows import Row, Section
from trueup.settings.safety_flags import SAFETY
from trueup.settings.values import variable

SECTIONS: tuple[Section[Any], ...] = (BACKFILL, RECONCILE, SAFETY)


class Flag(NamedTuple):
    """One flag as people read about it: its table in trueup.toml, its default, and what is allowed in words."""

    name: str
    default: str
    allowed: str
    meaning: str
    table: str


FLAGS = tuple(
    Flag(row.name, row.default, row.rule.allowed, row.meaning, section.table)
    for section in SECTIONS
    for row in section.rows
)
"""Every flag, in the order of the documentation; each is also a key of its table in lower case."""

ROWS: Mapping[str, tuple[str, Row]] = {row.name: (section.table, row) for section in SECTIONS for row in section.rows}
"""The table and the row of each flag."""

_OURS = (
    "RECON_", "ENABLE_RECON_", "EXCHANGE_STATE_MISMATCH_", "TRUEUP_ORDER_", "DEADMAN_", "TRUEUP_INCIDENT_",
    "TRUEUP_CANARY_", "TRUEUP_GATE_", "TRUEUP_FOUR_",
)  # fmt: skip

S = TypeVar("S")


def read_flags(environ: Mapping[str, str], table: Table, section: Section[S]) -> S:
    """Read a section's flags: the environment beats the file, which beats the default."""
    known = {row.name.lower(): section.table for row in section.rows}
    table.only(known, lambda key: _meant_key(key, known))
    return section.made({row.field: _value(row, environ, table) for row in section.rows})


def refuse_unknown(environ: Mapping[str, str]) -> None:
    """Refuse the first variable that begins like a flag and is none."""
    for name in environ:
        if name.upper().startswith(_OURS) and name not in ROWS:
            raise variable(name).refused("trueup has no such flag", _meant(name.upper(), ROWS))


def _value(row: Row, environ: Mapping[str, str], table: Table) -> Any:
    in_file = table.read(row.name.lower(), row.rule)
    if row.name in environ:
        return variable(row.name).read(environ[row.name], row.rule)
    return in_file if in_file is not None else row.rule.read(row.default)


def _meant_key(key: str, known: Iterable[str]) -> str:
    elsewhere = ROWS.get(key.upper())
    if elsewhere is not None and key.lower() not in known:
        return f"It belongs under [{elsewhere[0]}]{'' if key.islower() else f', as {key.lower()}'}."
    return _meant(key.lower(), known)


def _meant(name: str, known: Iterable[str]) -> str:
    """Return the flags whose end a name is, else those nearest to it."""
    ending = [flag for flag in known if name and flag.endswith(f"_{name}")]
    return f"Did you mean {' or '.join(ending)}?" if ending else nearest(name[:100], known)
