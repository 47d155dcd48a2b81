"""Results as DICOM objects beside the images they are about: the series, the form of a report, fixed bytes."""
