"""The suites: in a checkout ``pytest suites/``, from the wheel ``pytest --pyargs nanocheck.suites``."""
