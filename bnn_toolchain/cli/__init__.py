"""The `bnnt` command."""
