"""Seeded synthetic chests with exact truth, and hybrids of real nodules in real or synthetic chests."""
