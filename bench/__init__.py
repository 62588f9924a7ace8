"""Measurements that LOG.md quotes: `make bench`, or `python -m bench overhead ledger clocks` for some of them."""
