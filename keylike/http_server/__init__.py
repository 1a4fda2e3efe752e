"""Serve WSGI with waitress: bounded bodies, read deadlines, and a stop that drains."""
