"""In a pull request: base and head side by side, one comment that is kept up to date, and one exit code.

``action.yml``, the reusable workflow and ``kit/gitlab.yml`` only call ``python -m nanocheck.ci``; what they
do is here, and runs the same on a laptop.
"""
