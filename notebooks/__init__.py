"""What the notebook's cells call: each step of it with its mistakes in words, so that the cells stay a few lines long."""
