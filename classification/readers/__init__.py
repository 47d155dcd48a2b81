"""What LIDC's readers would say of a nodule, from what is measured of it."""
