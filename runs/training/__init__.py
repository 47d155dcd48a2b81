"""How a training runs, goes on, and what it leaves: folder, curves, weights and their card."""
