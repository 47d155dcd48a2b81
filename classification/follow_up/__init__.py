"""Two scans of one patient: registered, their nodules matched, and what grew."""
