"""Exploration: one page over a cohort, its problems first."""
