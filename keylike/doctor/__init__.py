"""What `doctor` looks at: one small check a fault, each taking values and saying what was seen and what to do about it."""
