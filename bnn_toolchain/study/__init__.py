"""The questions of Alizadeh et al. 2019, asked again on one's own machine: :func:`bnn_toolchain.study.study.study`."""
