"""Where images come from, how a batch is augmented, and the input specification that travels with a model.

Nothing is imported here: :mod:`bnn_toolchain.input_spec` needs numpy alone, and files are read with it on machines that
have no torch.
"""
