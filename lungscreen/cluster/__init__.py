"""A cohort on an engine that is already there: its shards are submitted, followed, submitted again and joined."""
