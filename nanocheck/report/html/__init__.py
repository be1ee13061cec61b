"""The answer of ``nanocheck run`` as one HTML page that needs nothing but itself."""

from nanocheck.report.html.run_page import render

__all__ = ["render"]
