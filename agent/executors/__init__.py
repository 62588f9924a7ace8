"""The registry of executors: name to part."""

EXECUTORS = {"local": "agent.executors.local:LocalExecutor"}
