"""The page of a patient and the list of pages."""
