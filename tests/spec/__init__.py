"""Tests of agent/spec."""
