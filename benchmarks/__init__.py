"""How fast it is: every file with a function `rows()` is a benchmark, run by `python -m benchmarks NAME`."""
