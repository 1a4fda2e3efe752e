"""Key families, codes, the number of possible codes, and what a code means for its owner."""
