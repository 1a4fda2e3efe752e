"""Attacks with hostile requests and pictures, over real sockets."""
