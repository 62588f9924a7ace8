"""Tests of fixed/ and of its door, prepare.py."""
