"""One job, one clean process, one JSON result.

``pool`` (the caller's side, no torch) starts ``server`` (preloads, forks), which forks one ``child``
per job. ``measure`` turns step configurations into jobs and their results into records;
``journal`` lets an interrupted run go on where it stopped.
"""
