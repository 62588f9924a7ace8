"""The registry of editors: name to part. What is no name here is a command line: agent.editors.command:Command."""

EDITORS = {"anthropic": "agent.llm:Claude"}
