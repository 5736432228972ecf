"""The native engine: in this process, and as the program bnnt-run."""
