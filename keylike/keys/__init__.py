"""What is known of keys themselves: families, codes, how many there are, and what a code means for its owner."""
