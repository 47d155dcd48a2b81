"""What became of every scan of a cohort, kept a scan at a time, so that it can be stopped, parted and joined."""
