"""`make bench-arm`: the ARM64 kernels by models of cores, since none may be at hand."""
