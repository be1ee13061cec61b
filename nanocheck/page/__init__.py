"""The answer of ``nanocheck run`` as one HTML page that needs nothing but itself."""

from nanocheck.page.document import render

__all__ = ["render"]
