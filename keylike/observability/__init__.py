"""Logs without secrets, metrics, traces, and figures about the process and the machine."""
