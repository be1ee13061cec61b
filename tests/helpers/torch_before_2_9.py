"""Imported in a child before nanocheck is: takes from the installed torch what came with torch 2.9.

What is left is what nanocheck finds in torch 2.4 to 2.8, as far as replaced kernels are concerned.
"""

from __future__ import annotations

import torch

if hasattr(torch.library, "get_kernel"):
    del torch.library.get_kernel
