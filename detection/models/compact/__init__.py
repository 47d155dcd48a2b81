"""The compact RetinaNet: anchors on one output level at stride 4."""
