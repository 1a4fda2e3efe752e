"""The evaluation of a reader as one HTML page that needs nothing beside it."""

from keylike.terminal.report.page import render, write_page

__all__ = ["render", "write_page"]
