"""Hostile input: broken pictures, a coverage-guided search through the intake, and a storm of requests; never imported by the server."""
