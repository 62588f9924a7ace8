"""The fixed side of every experiment: what no experiment edits, and what makes its number. prepare.py is its door."""
