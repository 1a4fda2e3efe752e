"""Tests of attacks: hostile requests and pictures, sent over real sockets."""
