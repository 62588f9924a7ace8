"""The registry of strategies: name to module. A module is imported when it is chosen."""

STRATEGIES = {"table": "agent.strategies.table"}
