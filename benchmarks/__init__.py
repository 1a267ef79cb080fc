"""How fast it is: every file with a function `rows()` is a benchmark; `python -m benchmarks NAME` prints its table."""
