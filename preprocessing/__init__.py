"""Files to volumes to prepared scans; the one owner of world and voxel coordinates."""
