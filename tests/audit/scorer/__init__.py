"""Tests of agent/audit/scorer."""
