"""Hostile load: 100,000 hostile requests over sockets, with every response checked against the API
contract."""
