"""Makes ``pytest suites/`` work from a checkout; the plugin is ``nanocheck/pytest_plugin/plugin.py``."""

pytest_plugins = ["nanocheck.pytest_plugin.plugin", "pytester"]
