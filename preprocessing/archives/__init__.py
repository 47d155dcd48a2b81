"""Collections of annotated scans as they come, and their prepared scans on disk."""
