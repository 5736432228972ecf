"""What to use instead of an ATen operator that has no place in the graph."""

from __future__ import annotations


def remedy(name: str, is_random: bool) -> str:
    """Half a sentence for the operator ``name``, such as "sigmoid"; it names nothing that is refused itself."""
    match name:
        case "sign" | "sgn" | "where" | "ge" | "gt" | "lt" | "le" | "heaviside" | "copysign" | "sign_":
            return "binarize activations with bnn_toolchain.layers.Sign, whose sign of 0 is +1"
        case "sigmoid" | "tanh" | "gelu" | "silu" | "elu" | "leaky_relu" | "hardswish" | "hardsigmoid" | "relu6":
            return "use ReLU, PReLU, Hardtanh(-1, 1) or a sign"
        case "avg_pool2d" | "adaptive_avg_pool2d" | "mean" | "lp_pool2d":
            return "take the mean over the whole image, or use MaxPool2d"
        case "max_pool2d_with_indices" | "adaptive_max_pool2d" | "amax" | "max":
            return "use MaxPool2d, or AdaptiveMaxPool2d(1) for the largest of the image, without indices"
        case "hardtanh" | "clamp" | "clip" | "clamp_min" | "clamp_max":
            return "only the bounds -1 and 1 exist, and 0 without an upper one"
        case "layer_norm" | "group_norm" | "instance_norm" | "_native_batch_norm_legit" | "native_layer_norm":
            return "use a batch norm with running statistics"
        case "batch_norm":
            return "call eval() on it: a file holds the running statistics, not those of a batch"
        case "softmax" | "log_softmax" | "_softmax" | "_log_softmax":
            return "leave it out: the exported model yields logits, and their order is the same"
        case "conv1d" | "conv3d" | "conv_transpose2d" | "conv_transpose1d" | "conv_transpose3d":
            return "use Conv2d or BinaryConv2d"
        case "dropout" | "native_dropout" | "feature_dropout" | "alpha_dropout" | "bernoulli":
            return "it is on in evaluation mode too: use nn.Dropout, or pass training=self.training"
        case "item" | "_local_scalar_dense" | "nonzero" | "masked_select":
            return "a model file cannot compute with what it reads from the image in Python: stay with tensors"
        case "lstm" | "gru" | "rnn_tanh" | "scaled_dot_product_attention" | "embedding":
            return "the graph holds feed-forward networks of convolutions and dense layers"
        case _ if is_random:
            return "it draws random numbers, in evaluation mode too: leave it out there"
        case _:
            return (
                "the graph holds convolutions, dense layers, batch norms, ReLU, Hardtanh, signs, max pooling, the mean "
                "over the image, additions, and arithmetic with one number for each channel"
            )
