"""The problems: one dynamics per environment as pure functions, and scripted experts."""
