"""What was asked on the command line, carried out: one issue, a session, a queue."""
