"""The whole scan at a fixed size into one small network: the simple baseline that the two stages must beat."""
