"""What the command line prints, tables and lines made from results, and the commands that fill a room of their own."""
