"""Key images of candidates."""
