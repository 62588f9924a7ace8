"""The registry of trackers: name to part."""

TRACKERS = {
    "github": "agent.trackers.github_issues:connect",
    "markdown": "agent.trackers.markdown:MarkdownTracker",
}
