"""Cases as jobs: their table, their folders, and the workers that analyse them."""
