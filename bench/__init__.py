"""Measurements that LOG.md quotes: `make bench`, or `python -m bench ledger training` for some of them."""
