"""Tests of agent/gate."""
