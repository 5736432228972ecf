"""Networks of binary layers, and the typed configuration that each is built from."""

from bnn_toolchain.models.build import ModelConfig, build_network, float_config
from bnn_toolchain.models.mlp import MlpConfig, mlp
from bnn_toolchain.models.vgg import VggConfig, vgg

__all__ = ["MlpConfig", "ModelConfig", "VggConfig", "build_network", "float_config", "mlp", "vgg"]
