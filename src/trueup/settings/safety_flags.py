"""The flags of the gate, the dead-man, incidents and flattening."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from trueup.core.flatten.record import FlattenRules
from trueup.core.gate import DeadmanRules
from trueup.core.incidents.policy import IncidentPolicy
from trueup.core.modes import Mode
from trueup.settings.model import SafetySettings
from trueup.settings.rows import SECOND_MS, Row, Section
from trueup.settings.values import SWITCH, Rule, integer_between, milliseconds, read_deadman_action

_COUNT = Rule(integer_between(1, 1000), "a whole number from 1 to 1000")

ROWS = (
    Row(
        "DEADMAN_TIMEOUT_SECONDS", "timeout_ms", "90",
        Rule(milliseconds(SECOND_MS, 1, 86_400), "seconds, more than 0 and up to 86400"),
        "How long after the last healthy heartbeat of reconciliation, or of a bot, the gate falls.", SECOND_MS,
    ),
    Row(
        "DEADMAN_ACTION", "action", Mode.SAFE_MODE.name,
        Rule(read_deadman_action, "SAFE_MODE, FLATTEN or HALT"),
        "The mode that the gate falls to.",
    ),
    Row(
        "DEADMAN_RECOVERY_BEATS", "recovery_beats", "3", _COUNT,
        "How many healthy heartbeats in a row bring the gate back.",
    ),
    Row(
        "TRUEUP_GATE_LEASE_MS", "lease_ms", "5000",
        Rule(integer_between(0, 60_000), "whole milliseconds from 0 to 60000"),
        "How long an answer of the gate may be used.",
    ),
    Row(
        "TRUEUP_INCIDENT_CONTAINMENT", "enforce", "true", SWITCH,
        "Tightens the mode of an incident's scope; false only observes.",
    ),
    Row(
        "TRUEUP_FOUR_EYES", "four_eyes", "true", SWITCH,
        "Demands that somebody else signs off what a person proposed; false is for a single operator.",
    ),
    Row(
        "TRUEUP_INCIDENT_OBSERVATION_SECONDS", "observation_ms", "300",
        Rule(milliseconds(SECOND_MS, 0, 604_800), "seconds from 0 to 604800 (7 days)"),
        "How long the books must agree after a repair before a canary may be proposed.", SECOND_MS,
    ),
    Row(
        "TRUEUP_INCIDENT_CONFIRM_RUNS", "confirm_runs", "3", _COUNT,
        "How many runs in a row must be without a break after a repair.",
    ),
    Row(
        "TRUEUP_CANARY_RUNS", "canary_runs", "3", _COUNT,
        "How many runs in a row must be without a break in each stage of a canary.",
    ),
    Row(
        "FLATTEN_ATTEMPTS", "attempts", "5",
        Rule(integer_between(1, 100), "a whole number from 1 to 100"),
        "After how many rounds of canceling and closing a flattening that is not flat ends in HALT.",
    ),
    Row(
        "FLATTEN_TIMEOUT_SECONDS", "limit_ms", "120",
        Rule(milliseconds(SECOND_MS, 1, 3600), "seconds, more than 0 and up to 3600"),
        "After how long a flattening that is not flat, or cannot be verified, ends in HALT.", SECOND_MS,
    ),
)  # fmt: skip

_DEADMAN = frozenset(field.name for field in fields(DeadmanRules))
_FLATTEN = frozenset(field.name for field in fields(FlattenRules))


def _made(values: Mapping[str, Any]) -> SafetySettings:
    deadman = DeadmanRules(**{name: value for name, value in values.items() if name in _DEADMAN})
    flatten = FlattenRules(**{name: value for name, value in values.items() if name in _FLATTEN})
    policy = IncidentPolicy(**{name: value for name, value in values.items() if name not in _DEADMAN | _FLATTEN})
    return SafetySettings(deadman, policy, flatten)


SAFETY: Section[SafetySettings] = Section("safety", ROWS, _made)
