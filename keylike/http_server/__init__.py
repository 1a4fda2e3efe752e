"""Serve a WSGI application with waitress: limited bodies, read deadlines and graceful shutdown.

No other package imports waitress. docs/decisions/0021-waitress-internals.md lists the internals of
waitress that this package uses.
"""
