"""Benches of what is said of single nodules."""
