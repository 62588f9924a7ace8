"""The registry of trackers: name to part."""

TRACKERS = {"markdown": "agent.trackers.markdown:MarkdownTracker"}
