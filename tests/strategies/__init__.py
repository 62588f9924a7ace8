"""Tests of agent/strategies."""
