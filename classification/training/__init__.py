"""What stage 2 learns from, and how."""
