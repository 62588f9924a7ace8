"""Tests of agent/app."""
