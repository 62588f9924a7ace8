"""Tests of agent/audit."""
