"""What must not be found anywhere afterwards: real requests to the real server, with words in them that are nowhere else."""
