# Everything a newcomer types. Each target makes .venv and installs what it needs, once.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
CPP := $(shell find runtime tests/native -name '*.[ch]pp' -o -name '*.h')
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: demo test test-mutations test-larq bench bench-arm lint format clean

demo: .venv/.demo
	$(BIN)/bnnt demo

test: .venv/.test
	$(BIN)/python -m pytest

# Lines changed on purpose, each of which must turn a test red; some minutes.
test-mutations: .venv/.test
	$(BIN)/python -m tests.mutations

# Models of Larq's own converter; by hand, because it installs TensorFlow (2.3 GB) into the cache.
test-larq: .venv/.test
	$(BIN)/python -m pytest --numprocesses=0 tests/larq/check_larq.py

# The engine beside others on this machine, into docs/benchmarks; some ten minutes, in which nothing else may run.
# Engines that want other packages get an environment of their own; one without a wheel for this machine is left out.
bench: .venv/.test .venv-bench/.made
	$(BIN)/python -m bnn_toolchain.runtime.comparison

# The ARM64 kernels by models of cores: apt install qemu-user llvm-19 binutils-aarch64-linux-gnu gcc
bench-arm: .venv/.test
	$(BIN)/python -m bnn_toolchain.runtime.comparison.arm

.venv-bench/.made: .venv/.test
	$(PYTHON) -m venv .venv-bench
	-.venv-bench/bin/python -m pip --disable-pip-version-check -q install openvino numpy
	-.venv-bench/bin/python -m pip --disable-pip-version-check -q install ai-edge-litert numpy
	-.venv-bench/bin/python -m pip --disable-pip-version-check -q install executorch onnx $(shell grep ^torch== constraints.txt)
	-$(BIN)/bnnt setup lce
	touch $@

# mypy cannot follow an editable installation of mapped folders, so it reads a plain one, and what is not installed.
lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	rm -rf build/lib build/typed && $(PIP) install --no-deps --target build/typed .
	cp -r runtime/comparison build/typed/bnn_toolchain/runtime/
	cd build/typed && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p bnn_toolchain

format: .venv/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

.venv/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) install -c constraints.txt -e '.[demo]'
	touch $@

.venv/.test: .venv/.demo
	$(PIP) install -c constraints.txt -e '.[demo,lce,test,lint]'
	touch $@

clean:
	rm -rf build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
