"""Methods that trade operations, precision or the host's memory for memory of the GPU, as real code.

``nanocheck.core.methods`` names them for people and says what each saves and costs. Everything here
imports torch.
"""
