"""Read a house key from a photo: readers, an HTTP server around them, and a command line."""
