"""Versions that are part of answers and cache keys."""

ENGINE_VERSION = "2.0.0"
"""Changes whenever any indicator's numbers may change; cached results of another version are never served."""
