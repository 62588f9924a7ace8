"""Scores a checkpoint without its code: the trusted half of the audit, a folder that is run (see `__main__`).

It owns the held-out data and sends tokens, never targets, to processes that have the model (model_server.py, in a
sandbox). It scores their logits with the evaluator of fixed/. Each check says `ok` or what speaks against the
checkpoint; result.json has them all.

Two processes share the queries, which are planned before the first is sent. A row that is sent twice, unchanged or with
another row's tokens from some place on, goes to either process once: there is nothing to remember and to replay, and
neither number nor order, place, company or text tells one query from another.
"""
