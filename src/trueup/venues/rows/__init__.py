"""Rows as venues write them (native, Alpaca, ccxt unified), read strictly into the values of a snapshot."""
