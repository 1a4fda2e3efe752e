"""Attacks on what comes in, over real sockets."""
