"""The tests: test_<module>.py mirrors every module."""
