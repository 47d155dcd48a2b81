"""The application: pipeline, command line and reports. Research use only."""
