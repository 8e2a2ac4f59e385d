"""Measuring what Kefu understands. Nothing here runs in the assistant."""
