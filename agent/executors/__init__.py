"""The registry of executors: name to module. A module is imported when it is chosen."""

EXECUTORS = {"local": "agent.executors.local"}
