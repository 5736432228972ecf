"""What is right and how fast it is: engines against the reference, and their latency."""
