"""The LifecycleBook port on SQL."""

from trueup.ledger.integrity.histories import Histories
from trueup.ledger.integrity.trade_ids import TradeIds
from trueup.ledger.integrity.walking import Walking


class SqlLifecycle(Walking, TradeIds, Histories):
    """The LifecycleBook port."""
