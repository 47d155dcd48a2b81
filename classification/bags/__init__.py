"""Aggregations: nodules of a patient to one probability, a module each."""
