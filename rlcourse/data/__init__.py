"""Where experience comes from: sources, rollouts, episodes, replay, evaluation."""
