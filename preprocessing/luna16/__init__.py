"""LUNA16's files, and how far another truth agrees with them."""
