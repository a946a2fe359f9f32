"""The flags of the EXIT backfill: one table from which they are read, told and documented."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from trueup.core.errors import nearest
from trueup.core.repair.policy import BackfillPolicy
from trueup.settings.document import Table
from trueup.settings.model import BackfillSettings
from trueup.settings.values import (
    SWITCH,
    Rule,
    integer_between,
    milliseconds,
    number_between,
    read_flatness,
    read_prefix,
    read_words,
    variable,
)

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class Flag(NamedTuple):
    """One flag as people read about it: its default and what is allowed in words."""

    name: str
    default: str
    allowed: str
    meaning: str


@dataclass(frozen=True, slots=True)
class _Row:
    """One flag as it is read: the field of BackfillSettings or BackfillPolicy that it sets, its default as text."""

    name: str
    field: str
    default: str
    rule: Rule[Any]
    meaning: str


_TABLE = (
    _Row("ENABLE_RECON_EXIT_BACKFILL", "enabled", "false", SWITCH, "Lets the EXIT backfill run at all."),
    _Row(
        "RECON_EXIT_BACKFILL_DRY_RUN", "dry_run", "true", SWITCH,
        "Writes the audit of what would be booked, and books nothing.",
    ),
    _Row(
        "RECON_EXIT_BACKFILL_REQUIRE_PAUSE", "require_pause", "true", SWITCH,
        "Repairs a profile only while its trading is paused (SAFE_MODE or stricter).",
    ),
    _Row(
        "RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST", "profile_allowlist", "",
        Rule(
            lambda value: frozenset(read_words(value)),
            "profile ids with commas between them (a list also in trueup.toml); empty: every profile",
        ),
        "Names the profiles that may be repaired; empty means every profile.",
    ),
    _Row(
        "RECON_EXIT_BACKFILL_DUST_ABS_QTY", "dust_abs", "0.001",
        Rule(number_between(0, None), "a quantity of 0 or more, in base units"),
        "A remainder up to this quantity is dust, and a position up to it is flat.",
    ),
    _Row(
        "RECON_EXIT_BACKFILL_DUST_REL_PCT", "dust_rel", "0.002",
        Rule(number_between(0, 1), "a ratio from 0 to 1 (0.002 is 0.2%)"),
        "A remainder up to this share of the open quantity is dust.",
    ),
    _Row(
        "RECON_EXIT_BACKFILL_LOOKBACK_HOURS", "lookback_ms", "72",
        Rule(milliseconds(HOUR_MS, 1, 87_600), "hours, more than 0 and up to 87600"),
        "Evidence older than this is not looked at.",
    ),
    _Row(
        "RECON_EXIT_BACKFILL_REQUIRE_STRONG_ATTRIBUTION", "strong_attribution", "true", SWITCH,
        "Drops evidence that carries no trade id, client order id or sub-tag of the profile.",
    ),
    _Row(
        "RECON_EXIT_BACKFILL_ALLOW_HEURISTIC_MATCH", "heuristic_match", "false", SWITCH,
        "Lets evidence that names no trade be matched by its quantity, or to the only open trade.",
    ),
    _Row(
        "RECON_EXIT_BACKFILL_FILL_AFTER_TRADE_GRACE_MINUTES", "grace_ms", "5",
        Rule(milliseconds(MINUTE_MS, 0, 1440), "minutes from 0 to 1440"),
        "How far the clocks of ledger and venue may differ.",
    ),
    _Row(
        "RECON_EXIT_BACKFILL_FLATNESS", "flatness", "flat", Rule(read_flatness, "flat, explained or evidence"),
        "What may be booked while the venue holds some of the symbol: nothing, the ledger's excess, any evidence.",
    ),
    _Row(
        "RECON_ORDER_COVERAGE_FETCH_LIMIT_PER_PAGE", "fetch_limit_per_page", "500",
        Rule(integer_between(1, 500), "a whole number from 1 to 500"),
        "How many orders one page of the venue holds.",
    ),
    _Row(
        "RECON_ORDER_COVERAGE_MAX_FETCH_PAGES", "max_fetch_pages", "8",
        Rule(integer_between(1, 100), "a whole number from 1 to 100"),
        "After so many pages the order feed counts as incomplete.",
    ),
    _Row(
        "TRUEUP_ORDER_TAG_PREFIX", "tag_prefix", "bytelyst",
        Rule(read_prefix, "text without blanks and colons"),
        "How the bot's own client order ids and sub-tags begin.",
    ),
)  # fmt: skip

FLAGS = tuple(Flag(row.name, row.default, row.rule.allowed, row.meaning) for row in _TABLE)
"""Every flag, in the order of the documentation; each is also a key of [backfill] in lower case."""

FIELDS: Mapping[str, str] = {row.name: row.field for row in _TABLE}
"""The field of BackfillSettings or its policy that each flag sets."""

_OURS = ("RECON_EXIT_BACKFILL_", "ENABLE_RECON_EXIT_", "RECON_ORDER_COVERAGE_", "TRUEUP_ORDER_")
_POLICY = frozenset(field.name for field in fields(BackfillPolicy))


def read_backfill(environ: Mapping[str, str], table: Table) -> BackfillSettings:
    """Read every flag: the environment beats the file's [backfill], which beats the default."""
    _refuse_unknown(environ, table)
    values = {row.field: _value(row, environ, table) for row in _TABLE}
    policy = BackfillPolicy(**{name: value for name, value in values.items() if name in _POLICY})
    return BackfillSettings(policy=policy, **{name: value for name, value in values.items() if name not in _POLICY})


def _value(row: _Row, environ: Mapping[str, str], table: Table) -> Any:
    in_file = table.read(row.name.lower(), row.rule)
    if row.name in environ:
        return variable(row.name).read(environ[row.name], row.rule)
    return in_file if in_file is not None else row.rule.read(row.default)


def _refuse_unknown(environ: Mapping[str, str], table: Table) -> None:
    for name in environ:
        if name.upper().startswith(_OURS) and name not in FIELDS:
            raise variable(name).refused("trueup has no such flag", _meant(name.upper(), FIELDS))
    known = [name.lower() for name in FIELDS]
    table.only(known, lambda key: _meant(key.lower(), known))


def _meant(name: str, known: Mapping[str, str] | list[str]) -> str:
    """Return the flags whose end a name is, else those nearest to it."""
    ending = [flag for flag in known if name and flag.endswith(f"_{name}")]
    return f"Did you mean {' or '.join(ending)}?" if ending else nearest(name[:100], known)
