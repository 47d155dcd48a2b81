"""Cases in the browser: uploads, a queue, workers, results and a viewer. Research use only."""

NOTICE = "Research use only. Not a medical device; nothing here may guide the care of a patient."
