"""How well patient probabilities predict: every figure with its interval."""
