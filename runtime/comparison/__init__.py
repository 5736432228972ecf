"""`make bench`: the native engine beside others, on one machine."""
