"""The typed graph: its operators, what each yields, and how large it may be."""
