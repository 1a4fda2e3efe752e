"""Training, benchmarks, fuzzing and supply chain checks. The server never imports them."""
