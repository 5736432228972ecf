"""What the native engine is built for, and the builds."""
