"""Exercises: checks, hints, scores, the build of the notebooks, the isolated runner."""

from .exercise import exercise

__all__ = ["exercise"]
