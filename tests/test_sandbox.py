"""tests follow"""
