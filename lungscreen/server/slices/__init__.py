"""Single slices for the slice classifier: asked for, answered and forgotten."""
