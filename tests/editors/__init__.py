"""Tests of agent/editors."""
