"""An autonomous harness for machine-learning experiments; `run.py` is its command line."""
