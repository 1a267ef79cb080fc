"""One algorithm a file: a frozen Config where it has settings, and a loop that yields."""
