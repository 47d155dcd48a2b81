"""Stage 2: candidates to nodule assessments to one patient probability."""
