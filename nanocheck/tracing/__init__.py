"""From a step that was recorded to the list of its kernels. Outside of the process, without PyTorch."""
