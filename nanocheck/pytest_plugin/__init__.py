"""nanocheck in pytest: options, fixtures, the session, and what it writes in the end."""
