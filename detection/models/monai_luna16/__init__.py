"""The RetinaNet of the MONAI model zoo, taught on LUNA16."""
