"""Studies out of a PACS to the server, and its results back beside the images. Research use only."""
