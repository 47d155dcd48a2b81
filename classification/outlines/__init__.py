"""The outline of a nodule by a network that mends what needs no learning."""
