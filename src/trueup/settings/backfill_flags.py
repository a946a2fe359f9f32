"""The flags of the EXIT backfill."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from trueup.core.repair.policy import BackfillPolicy
from trueup.settings.model import BackfillSettings
from trueup.settings.rows import HOUR_MS, MINUTE_MS, Row, Section
from trueup.settings.values import (
    SWITCH,
    Rule,
    integer_between,
    milliseconds,
    number_between,
    read_flatness,
    read_prefix,
    read_words,
)

ROWS = (
    Row("ENABLE_RECON_EXIT_BACKFILL", "enabled", "false", SWITCH, "Lets the EXIT backfill run at all."),
    Row(
        "RECON_EXIT_BACKFILL_DRY_RUN", "dry_run", "true", SWITCH,
        "Writes the audit of what would be booked, and books nothing.",
    ),
    Row(
        "RECON_EXIT_BACKFILL_REQUIRE_PAUSE", "require_pause", "true", SWITCH,
        "Repairs a profile only while its trading is paused (SAFE_MODE or stricter).",
    ),
    Row(
        "RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST", "profile_allowlist", "",
        Rule(
            lambda value: frozenset(read_words(value)),
            "profile ids with commas between them (a list also in trueup.toml); empty: every profile",
        ),
        "Names the profiles that may be repaired; empty means every profile.",
    ),
    Row(
        "RECON_EXIT_BACKFILL_DUST_ABS_QTY", "dust_abs", "0.001",
        Rule(number_between(0, None), "a quantity of 0 or more, in base units"),
        "A remainder up to this quantity is dust, and a position up to it is flat.",
    ),
    Row(
        "RECON_EXIT_BACKFILL_DUST_REL_PCT", "dust_rel", "0.002",
        Rule(number_between(0, 1), "a ratio from 0 to 1 (0.002 is 0.2%)"),
        "A remainder up to this share of the open quantity is dust.",
    ),
    Row(
        "RECON_EXIT_BACKFILL_LOOKBACK_HOURS", "lookback_ms", "72",
        Rule(milliseconds(HOUR_MS, 1, 87_600), "hours, more than 0 and up to 87600"),
        "Evidence older than this is not looked at.", HOUR_MS,
    ),
    Row(
        "RECON_EXIT_BACKFILL_REQUIRE_STRONG_ATTRIBUTION", "strong_attribution", "true", SWITCH,
        "Drops evidence that carries no trade id, client order id or sub-tag of the profile.",
    ),
    Row(
        "RECON_EXIT_BACKFILL_ALLOW_HEURISTIC_MATCH", "heuristic_match", "false", SWITCH,
        "Lets evidence that names no trade be matched by its quantity, or to the only open trade.",
    ),
    Row(
        "RECON_EXIT_BACKFILL_FILL_AFTER_TRADE_GRACE_MINUTES", "grace_ms", "5",
        Rule(milliseconds(MINUTE_MS, 0, 1440), "minutes from 0 to 1440"),
        "How far the clocks of ledger and venue may differ.", MINUTE_MS,
    ),
    Row(
        "RECON_EXIT_BACKFILL_FLATNESS", "flatness", "flat", Rule(read_flatness, "flat, explained or evidence"),
        "What may be booked while the venue holds some of the symbol: nothing, the ledger's excess, any evidence.",
    ),
    Row(
        "RECON_ORDER_COVERAGE_FETCH_LIMIT_PER_PAGE", "fetch_limit_per_page", "500",
        Rule(integer_between(1, 500), "a whole number from 1 to 500"),
        "How many orders one page of the venue holds.",
    ),
    Row(
        "RECON_ORDER_COVERAGE_MAX_FETCH_PAGES", "max_fetch_pages", "8",
        Rule(integer_between(1, 100), "a whole number from 1 to 100"),
        "After so many pages the order feed counts as incomplete.",
    ),
    Row(
        "TRUEUP_ORDER_TAG_PREFIX", "tag_prefix", "bytelyst",
        Rule(read_prefix, "text without blanks and colons"),
        "How the bot's own client order ids and sub-tags begin.",
    ),
)  # fmt: skip

_POLICY = frozenset(field.name for field in fields(BackfillPolicy))


def _made(values: Mapping[str, Any]) -> BackfillSettings:
    policy = BackfillPolicy(**{name: value for name, value in values.items() if name in _POLICY})
    return BackfillSettings(policy=policy, **{name: value for name, value in values.items() if name not in _POLICY})


BACKFILL: Section[BackfillSettings] = Section("backfill", ROWS, _made)
