"""The race: Keylike against other ways to serve the same reader, and against no server at all."""
