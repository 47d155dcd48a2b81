"""Scans for the benches, made of chests and nodules that no training sees."""
