"""Files on disk to scans whose geometry and values are proven, or a reason why not."""
