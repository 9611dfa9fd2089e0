# bitproof: quantized network -> integer graph -> FPGA bitstream, with evidence.
# Artefacts are files under build/<network>/; a target is the file its stage writes last.

VENV     := .venv
BITPROOF := $(VENV)/bin/bitproof
PYTEST   := $(VENV)/bin/python -m pytest -q
BUILD    := build
SIM      ?= verilator
BOARD    ?= ulx3s
NETWORKS := tfc-digits-w1a1 tfc-digits-w4a4
ON_BOARD := tfc-digits-w1a1

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help env demo demo-stages test test-all lint lint-python fmt clean

help:  ## list the targets
	@grep -hE '^[a-z%/-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

env: $(VENV)/ready  ## create the virtual environment (demo and test do it themselves)

$(VENV)/ready: constraints.txt pyproject.toml .ci/environment
	@bash .ci/environment $(VENV)
