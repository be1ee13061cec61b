"""The reference training step: a GPT-2 trained the way nanoGPT trains it, as real PyTorch code.

``nanocheck.step.run.run_step`` is the door. Everything here imports torch at module level, so only
the child process that runs a step imports this package's modules.
"""
