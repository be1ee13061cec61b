"""Processes, whatever runs in them: a pool behind a fork server, and somebody's command run to its end.

``pool`` (the caller's side, no torch) starts ``fork_server`` (preloads, forks), which forks one ``child``
per job. ``launch`` runs a command with its streams, its terminal and its exit code.
Nothing here knows of GPUs.
"""
