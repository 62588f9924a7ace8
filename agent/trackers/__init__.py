"""The registry of trackers: name to module. A module is imported when it is chosen."""

TRACKERS = {"markdown": "agent.trackers.markdown"}
