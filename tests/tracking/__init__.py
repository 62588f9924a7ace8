"""Tests of agent/tracking."""
