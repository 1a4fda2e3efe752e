"""Logs without secrets, metrics, traces, and resource usage of the process and the machine."""
