"""Tests of agent/execution."""
