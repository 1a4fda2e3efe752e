"""Terminal output: tables and messages, and the implementation of the larger commands."""
