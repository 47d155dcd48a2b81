"""Detectors: one folder each."""
