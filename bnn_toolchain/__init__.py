"""bnnt: binary neural networks from PyTorch to ARM and x86 CPUs."""
