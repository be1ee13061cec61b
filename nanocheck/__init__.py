"""nanocheck: will this GPT training configuration run on my GPU, and did this change break it?"""

__version__ = "0.1.0"
