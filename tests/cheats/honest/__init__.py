"""Unusual edits of train.py that play by the rules: the audit must let each of them through."""
