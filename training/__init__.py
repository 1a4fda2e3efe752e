"""Draws keys, trains the embedded reader on them, and writes what models/ ships. Never imported by the server."""
