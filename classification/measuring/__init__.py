"""What can be measured of a nodule: its outline, axes, volume, density and place."""
