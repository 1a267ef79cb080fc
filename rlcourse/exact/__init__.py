"""The oracles: exact answers for problems small enough to have them. No learner imports this."""
