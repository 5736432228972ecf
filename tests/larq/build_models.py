"""Models as Larq users convert them: ``python build_models.py FOLDER`` in an environment with TensorFlow and LCE.

Weights and batch norms are random: what is tested is the arithmetic, not the accuracy.
"""

import sys
from pathlib import Path

import larq as lq
import larq_compute_engine as lce
import larq_zoo as lqz
import numpy as np
import tensorflow as tf

BINARY = {"kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip", "use_bias": False}


def conv(channels, **options):
    return lq.layers.QuantConv2D(channels, 3, padding="same", pad_values=1.0, **BINARY, **options)


def binarynet():
    """The VGG of the binary-network papers at a quarter of its width, with one-padding."""
    layers = [tf.keras.Input((32, 32, 3))]
    layers += [lq.layers.QuantConv2D(32, 3, padding="same", **BINARY), norm()]
    for channels, pool in ((32, True), (64, False), (64, True), (128, False), (128, True)):
        layers += [conv(channels, input_quantizer="ste_sign")]
        layers += [tf.keras.layers.MaxPool2D(2)] if pool else []
        layers += [norm()]
    layers += [tf.keras.layers.Flatten()]
    for units in (256, 256, 10):
        layers += [lq.layers.QuantDense(units, input_quantizer="ste_sign", **BINARY), norm()]
    return tf.keras.Sequential(layers)


def strided():
    """Strides, zero padding, activations before batch norm, dilation, scaled weights, and pooling of bits."""
    x = image = tf.keras.Input((17, 16, 3))
    x = tf.keras.layers.Conv2D(40, 3, padding="same", use_bias=True, activation="relu")(x)
    x = norm()(x)
    x = lq.layers.QuantConv2D(64, 3, 2, "same", input_quantizer="ste_sign", pad_values=1.0, **BINARY)(x)
    x = norm()(x)
    x = lq.layers.QuantConv2D(48, 3, padding="same", input_quantizer="ste_sign", activation="relu", **BINARY)(x)
    x = norm()(x)
    x = tf.keras.layers.MaxPool2D(2, 2, "same")(lq.quantizers.SteSign()(x))
    y = lq.layers.QuantConv2D(
        33, 3, padding="same", kernel_quantizer="magnitude_aware_sign", pad_values=1.0, use_bias=False
    )(x)
    y = norm()(y)
    y = lq.layers.QuantConv2D(33, 2, dilation_rate=2, input_quantizer="ste_sign", **BINARY)(y)
    y = tf.keras.layers.GlobalAveragePooling2D()(norm()(y))
    return tf.keras.Model(image, tf.keras.layers.Dense(7, activation="softmax")(y))


def mlp():
    layers = [tf.keras.Input((28, 28, 1)), tf.keras.layers.Flatten()]
    layers += [lq.layers.QuantDense(256, **BINARY), norm()]
    for units in (256, 10):
        layers += [lq.layers.QuantDense(units, input_quantizer="ste_sign", **BINARY), norm()]
    return tf.keras.Sequential(layers)


def plain():
    """Nothing binary."""
    layers = [tf.keras.Input((8, 8, 3)), tf.keras.layers.Conv2D(8, 3, activation="relu"), tf.keras.layers.MaxPool2D()]
    return tf.keras.Sequential([*layers, tf.keras.layers.Flatten(), tf.keras.layers.Dense(5)])


def norm():
    return tf.keras.layers.BatchNormalization(momentum=0.999, epsilon=1e-3)


def zoo(make, side):
    """At 96 pixels the last maps are 3x3; on smaller ones LCE gets 3x3 windows with zero padding wrong."""
    return lambda: make(input_shape=(side, side, 3), weights=None, num_classes=10)


MODELS = {
    "plain": plain,
    "mlp": mlp,
    "strided": strided,
    "binarynet": binarynet,
    "alexnet": zoo(lqz.literature.BinaryAlexNet, 96),
    "birealnet": zoo(lqz.literature.BiRealNet, 96),
    "densenet28": zoo(lqz.literature.BinaryDenseNet28, 96),
    "meliusnet22": zoo(lqz.literature.MeliusNet22, 96),
    "realtobinary": zoo(lqz.literature.RealToBinaryNet, 96),
    "quicknet-small": zoo(lqz.sota.QuickNetSmall, 96),
}


def randomise(model, seed):
    """Batch norms as training might leave them: scales of both signs, means of the size of accumulators."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            shapes = [w.shape for w in layer.get_weights()]
            values = [rng.normal(size=s) for s in shapes]
            values[-2] = values[-2] * 3
            values[-1] = rng.uniform(0.5, 20, shapes[-1])
            layer.set_weights(values)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, make) in enumerate(MODELS.items()):
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        tf.keras.utils.set_random_seed(seed)
        model = make()
        randomise(model, seed)
        (folder / f"{name}.tflite").write_bytes(lce.convert_keras_model(model))
        print(name, flush=True)


if __name__ == "__main__":
    main()
