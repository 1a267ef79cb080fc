"""What every other room may use: input checks, spaces, seeds, batches, runs, the device."""
