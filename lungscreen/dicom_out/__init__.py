"""A patient report as DICOM: the outlines as a segmentation, the numbers as a structured report."""
