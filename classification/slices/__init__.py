"""Single CT slices: normal, benign or malignant, as IQ-OTH/NCCD labels them, and what such a number is worth."""
