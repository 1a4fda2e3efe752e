"""Training, benchmarks and fuzzing. The server never imports them."""
