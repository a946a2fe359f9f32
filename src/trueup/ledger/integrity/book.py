"""The IntegrityBook port on SQL."""

from trueup.core.integrity.phases import Standing
from trueup.core.integrity.rules import RulesInForce
from trueup.ledger.integrity.busy import naming_holders
from trueup.ledger.integrity.rollout import Rollout
from trueup.ledger.integrity.snapshots import Snapshots
from trueup.ledger.integrity.steps import Steps
from trueup.ledger.integrity.things import rules_in_force, standing_of


class SqlIntegrity(Steps, Snapshots, Rollout):
    """The IntegrityBook port."""

    def standing(self) -> Standing:
        """Return where the ledger stands, by the database's own catalogue."""
        with naming_holders(self._store.books, self._store.wanted.table):
            return standing_of(self._store, self._clock)

    def in_force(self) -> RulesInForce:
        """Return the rules that the ledger binds right now, by one look into the database's catalogue."""
        with self._store.books.reading() as connection:
            return rules_in_force(connection, self._store.wanted.table)
