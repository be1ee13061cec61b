"""The static site of compatibility tables: pages that need no server, no network and no script to be read."""
