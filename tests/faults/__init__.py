"""The fault matrix: every named moment of a campaign times every fault, and rounds of strikes at random times."""
