"""MetaImage, NIfTI and NRRD: what a header states, and the voxels only where they are whole."""
