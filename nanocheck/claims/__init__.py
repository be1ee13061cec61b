"""Claims that people copy from page to page, as data, each with a check that computes or runs it.

``ledger/*.toml`` are the claims that come with nanocheck; ``files`` says how to write more of them.
"""
