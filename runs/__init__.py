"""How a command starts, repeats and resumes, and what it leaves behind. Knows nothing of CT."""
