"""Larq Compute Engine's own interpreter as an engine."""
