"""A small, readable reference library behind an interactive deep-RL course."""
