"""Gymnasium in both directions: its environments as a `Source` for us, our `Dynamics` as environments for it."""
