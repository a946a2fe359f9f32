"""What heals write to the bot's own books."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trueup.core.audit import AuditRow
from trueup.core.reconcile.changes import Change, Effect
from trueup.core.symbols import Symbols
from trueup.ports.books import Profile
from trueup.ports.control import Lease


@dataclass(frozen=True, slots=True)
class HealBatch:
    """The heals of one profile that are made in one transaction, under a lease; `now` is ISO 8601 with Z.

    A row is named by one change at most. `fingerprints` are those of the trades that decisions rest on as a whole, by
    trade id, where there are such; the rows that change are compared with what they were in any case. `elsewhere` are
    the profiles of other accounts, whose exchange order ids mean other orders; client order ids with the `tag_prefix`
    are the same in any case. `require_pause` are the scopes of which one must pause trading, empty where none needs to.
    """

    run_id: str
    profile: Profile
    lease: Lease
    changes: tuple[Change, ...]
    symbols: Symbols
    tag_prefix: str
    actor: str
    now: str
    plan_hash: str = ""
    elsewhere: frozenset[str] = frozenset()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    require_pause: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HealResult:
    """How a batch of heals ended: what each did, and the ids of rows to be added that were there already.

    `stale` are the ids of the rows of which the decision does not hold any more; then nothing of the batch was written.
    """

    applied: tuple[Effect, ...] = ()
    existing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    audit: tuple[AuditRow, ...] = ()
