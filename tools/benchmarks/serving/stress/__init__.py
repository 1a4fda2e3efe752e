"""Stress scenarios. Each starts the server as a separate process under difficult conditions.

Then it checks whether the measured figures meet the targets.
"""
