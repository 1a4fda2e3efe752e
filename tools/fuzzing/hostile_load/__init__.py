"""Hostile load: sends 100,000 hostile requests over sockets.

Every response is checked against the API contract: statuses, failure bodies and headers.
"""
