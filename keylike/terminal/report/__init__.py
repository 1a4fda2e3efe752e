"""Write the evaluation of a reader as one self-contained HTML page."""

from keylike.terminal.report.page import render, write_page

__all__ = ["render", "write_page"]
