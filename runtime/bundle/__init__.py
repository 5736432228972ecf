"""The folder that ships a model."""
