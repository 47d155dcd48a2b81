"""Stage 1: prepared scan to candidates; training and LUNA16 scoring."""
