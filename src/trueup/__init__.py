"""trueup keeps a trading bot's books true to the exchange."""

__version__ = "0.1.0"
