"""What a detector learns from, and the step it learns by."""
