"""Reading processes."""
