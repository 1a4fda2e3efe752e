"""Helpers of the notebook. They keep its cells a few lines long and turn failures into readable
messages."""
