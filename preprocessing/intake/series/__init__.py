"""What the images of one SeriesInstanceUID are: one acquisition or several, original or derived."""
