"""The lungs: where candidates may lie, and what of them a scan does not show."""
