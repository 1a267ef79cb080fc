"""Networks with a runs axis: MLPs, their optimiser, distributions, policy heads, policies."""
