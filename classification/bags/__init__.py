"""Nodules to one patient: one module a bag, all under `interface`."""
