"""Measurements of speed and accuracy; each ends with one line of JSON. Never imported by the server."""
