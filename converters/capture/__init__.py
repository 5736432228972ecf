"""From a torch module to the graph. Start at :func:`bnn_toolchain.converters.capture.capture.capture`."""
