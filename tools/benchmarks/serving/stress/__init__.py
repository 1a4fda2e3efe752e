"""Stress scenarios: each starts the server as a separate process, puts it under bad conditions and
checks targets."""
