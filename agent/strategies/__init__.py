"""The registry of strategies: name to part. An issue in prose is, once its proposals are written, a table of them."""

STRATEGIES = {"table": "agent.strategies.table:propose", "freeform": "agent.strategies.table:propose"}
