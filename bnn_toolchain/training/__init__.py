"""Recipes, and the loop that follows them. Start at :func:`bnn_toolchain.training.train.train`."""
