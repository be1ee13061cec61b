"""Makes ``pytest suites/`` work from a checkout; the plugin itself is ``nanocheck/plugin.py``."""

pytest_plugins = ["nanocheck.plugin", "pytester"]
