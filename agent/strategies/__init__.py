"""The registry of strategies: name to part."""

STRATEGIES = {"table": "agent.strategies.table:propose"}
