"""The network shape of the Data Science Bowl 2017's winners, for comparison; written from its description."""
