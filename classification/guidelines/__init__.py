"""What published rules say of a measured nodule: Brock's probability and the category of Lung-RADS."""
