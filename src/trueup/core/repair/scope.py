"""Whose a piece of evidence can be: which profiles may use it, and why nobody may."""

from enum import StrEnum
from typing import NamedTuple

from trueup.core.repair.evidence import Evidence
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.tags import Tag, TagReader


class Scope(StrEnum):
    """Why evidence counts (KEPT) or does not."""

    KEPT = "kept"
    FOREIGN = "foreign"
    UNKNOWN_PROFILE = "unknown_profile"
    UNATTRIBUTED = "unattributed"
    ENTRY = "entry"


class Reading(NamedTuple):
    """What the tags of one piece of evidence say.

    `owner` is the one profile that may use it, None where any profile of the account may. `client` and `sub` are its
    tags of our grammar.
    """

    scope: Scope
    owner: str | None = None
    client: Tag | None = None
    sub: Tag | None = None

    def counts_for(self, profile_id: str) -> Scope:
        """Return the scope of the evidence as one profile sees it."""
        if self.scope is not Scope.KEPT or self.owner in (None, profile_id):
            return self.scope
        return Scope.FOREIGN


def read_scope(row: Evidence, reader: TagReader, policy: BackfillPolicy) -> Reading:
    """Say who may use a piece of evidence.

    A tag of a profile wins over everything else that the row carries, and two tags of different profiles belong to
    neither. A sub-tag of another grammar says nothing. Under strong attribution a row must name a trade or carry a
    tag of a profile.
    """
    client, sub = reader.client_order_id(row.client_order_id), reader.sub_tag(row.sub_tag)
    if sub is not None and sub.profile_id is None:
        return Reading(Scope.UNKNOWN_PROFILE)
    owners = {tag.profile_id for tag in (client, sub) if tag is not None}
    if len(owners) > 1:
        return Reading(Scope.FOREIGN)
    owner = next(iter(owners), None)
    if client is not None and client.is_entry:
        return Reading(Scope.ENTRY, owner)
    if policy.strong_attribution and row.trade_id is None and owner is None:
        return Reading(Scope.UNATTRIBUTED)
    return Reading(Scope.KEPT, owner, client, sub)
