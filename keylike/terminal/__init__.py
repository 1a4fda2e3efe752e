"""The output of the commands: tables and messages; and the code of the larger commands."""
