"""What the readers of LIDC-IDRI drew and rated: table or XML in, LUNA16's truth out."""
