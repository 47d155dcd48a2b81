"""The official LUNA16 FROC with intervals, strata and guards."""
