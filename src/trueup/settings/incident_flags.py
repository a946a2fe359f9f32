"""The flags of who must agree before something is done."""

from collections.abc import Mapping
from typing import Any

from trueup.settings.model import IncidentSettings
from trueup.settings.rows import Row, Section
from trueup.settings.values import SWITCH

ROWS = (
    Row(
        "TRUEUP_FOUR_EYES", "four_eyes", "true", SWITCH,
        "Wants what one person proposes signed off by another: in the console, a backfill plan before it is applied.",
        own_key="four_eyes",
    ),
)  # fmt: skip


def _made(values: Mapping[str, Any]) -> IncidentSettings:
    return IncidentSettings(**values)


INCIDENTS: Section[IncidentSettings] = Section("incidents", ROWS, _made)
