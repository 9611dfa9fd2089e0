# bitproof: quantized network -> integer graph -> FPGA bitstream, with evidence.
# Artefacts are files under build/<network>/; a target is the file that its stage writes last.

VENV     := .venv
BITPROOF := $(VENV)/bin/bitproof
PYTEST   := $(VENV)/bin/python -m pytest -q
SIM      ?= verilator
SECONDS  ?= 60
DATA     := digits
NETWORKS := tfc-digits-w1a1 tfc-digits-w4a4
ON_BOARD := tfc-digits-w1a1
BOARDS   := $(notdir $(patsubst %/board.toml,%,$(wildcard hls/boards/*/board.toml)))
BOARD    ?= ulx3s
MODEL    ?= tfc-digits-w1a1
NAME      = $(basename $(notdir $(MODEL)))
FOLDED    = $(CYCLES:%=-%)
CHOSEN    = $(SEEDS:%=-best-of-%)
EVIDENCE := compare rtl hls input pixel bits bfa random campaign/record
RESULTS  := $(foreach n,$(NETWORKS),$(EVIDENCE:%=build/$n/%.json)) $(ON_BOARD:%=build/%/board.json)

export OMP_NUM_THREADS ?= 1

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help env demo test test-all test-icarus bench bench-certify bench-flips bench-hw soundness formal lint fmt vivado vitis clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: $(VENV)/ready  ## create the virtual environment (demo and test do it themselves)

demo: $(VENV)/ready  ## the whole line for two networks: train, build, simulate, certify, attack, bitstream, report
	@$(VENV)/bin/python -m flow.timed "demo (without the environment)" $(MAKE) --no-print-directory -j2 build/report.html

.PHONY: bitstream
bitstream: build/$(NAME)/$(BOARD)$(FOLDED)$(CHOSEN)/manifest.json  ## MODEL=recipe name or file.onnx, BOARD=folder of hls/boards, CYCLES=most per image, SEEDS=tried
	@$(BITPROOF) bitstream $(<D)

test: $(VENV)/ready lint  ## the gate: lint, then every test that is not slow (SIM=verilator or icarus)
	$(PYTEST) -n 2 -m "not slow" --sim $(SIM)

test-all: $(VENV)/ready lint  ## everything, slow tests too
	$(PYTEST) -n 2 --sim $(SIM)

test-icarus: $(VENV)/ready  ## the unit benches in a second simulator, Icarus, which must be on PATH
	$(PYTEST) -n 2 -m "rtl and not slow" --sim icarus tests/conformance

bench: $(VENV)/ready  ## time and memory of lowering and of the batched engine, against references
	$(VENV)/bin/python -m tests.bench.ingestion

bench-certify: $(VENV)/ready  ## the AAAI 2021 benchmark: NETWORK=mnist_mlp.h5, MNIST in BITPROOF_DATA, SECONDS per image
	$(VENV)/bin/python -m tests.bench.certify $(NETWORK) --seconds $(SECONDS)

bench-flips: $(VENV)/ready  ## every single flip of GRAPH=graph.json on DATA, IMAGES of them; beside re-running
	$(VENV)/bin/python -m tests.bench.flips $(GRAPH) $(DATA) $(if $(IMAGES),--images $(IMAGES))

bench-hw: $(VENV)/ready  ## area, clock, cycles and simulation speed of the hardware, beside its targets
	$(VENV)/bin/python -m tests.bench.hardware

ZOO_DIGITS := $(foreach n,tfc-digits-w1a1 tfc-digits-w4a4,build/$n/graph.json)
ZOO_MNIST  := $(foreach n,tfc-mnist-w1a1 tfc-mnist-w4a4,build/$n/graph.json)

.PHONY: zoo-table
zoo-table: $(ZOO_DIGITS) $(ZOO_MNIST)  ## certified, refuted, unknown of every network, IMAGES (12) of them; MNIST in BITPROOF_DATA
	@$(VENV)/bin/python -m tests.bench.zoo_table $(if $(IMAGES),--images $(IMAGES)) $(ZOO_DIGITS:%=%=digits) $(ZOO_MNIST:%=%=mnist)

.PHONY: bench-campaign-rtl campaign-agreement
bench-campaign-rtl: $(VENV)/ready  ## 10,000 faults on 100 images of TFC-w1a1 in model and RTL, beside driving it from Python
	$(VENV)/bin/python -m tests.bench.campaign_rtl

campaign-agreement: $(VENV)/ready  ## 12,000 faults in three networks of two accumulator policies: model = RTL (after make demo)
	$(VENV)/bin/python -m tests.bench.agreement

.PHONY: bench-smoothing
bench-smoothing: $(VENV)/ready  ## integer against float smoothing of two networks; MNIST in BITPROOF_DATA
	$(VENV)/bin/python -m tests.bench.smoothing

soundness: $(VENV)/ready  ## the long search: new examples for every bound, slow tests, and faults in the bounds that tests must catch
	$(PYTEST) -n 2 --hypothesis-profile=explore tests/certify tests/attack tests/export
	$(VENV)/bin/python -m tests.soundness.faults

formal: $(VENV)/ready  ## prove the stream rules and results of every RTL unit (UNITS="fifo width" for some)
	$(VENV)/bin/python -m tests.formal.report $(UNITS)

lint: $(VENV)/ready  ## ruff, formatting, types; RTL is linted by the tests
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m mypy

fmt: $(VENV)/ready  ## rewrite the Python files in house format
	$(VENV)/bin/python -m ruff format .
	$(VENV)/bin/python -m ruff check --fix .

vivado: build/$(MODEL)/vivado/manifest.json  ## AMD's Vivado on MODEL=tfc-digits-w1a1, if it is on PATH (docs/amd.md)
	$(BITPROOF) vendor $(<D)

vitis: build/$(MODEL)/vitis/manifest.json  ## AMD's Vitis HLS, likewise
	$(BITPROOF) vendor $(<D)

clean:  ## remove everything that was made, but not the environment
	rm -rf build

$(VENV)/ready: constraints.txt pyproject.toml .ci/environment
	@bash .ci/environment $(VENV)

# The stages, in order.

build/%/model.onnx: models/recipes/%.toml $(wildcard models/*.py) | $(VENV)/ready
	$(BITPROOF) train $< -o $@

build/%/graph.json: build/%/model.onnx
	$(BITPROOF) lower $< -o $@

build/%/compare.json: build/%/graph.json
	$(BITPROOF) compare $(@D)/model.onnx $< --data $(DATA) --finn $(@D)/finn.onnx -o $@

build/%/accelerator/manifest.json: build/%/graph.json $(wildcard hls/rtl/*.sv hls/kernels/*.hpp)
	$(BITPROOF) build $< -o $(@D)

build/%/vivado/manifest.json: build/%/graph.json $(wildcard hls/rtl/*.sv hls/vivado/*.tcl hls/drivers/*.py)
	$(BITPROOF) build $< --target vivado -o $(@D)

build/%/vitis/manifest.json: build/%/graph.json $(wildcard hls/kernels/*.hpp hls/vitis/*)
	$(BITPROOF) build $< --target vitis -o $(@D)

build/%/rtl.json: build/%/accelerator/manifest.json
	$(BITPROOF) simulate $(<D) --data $(DATA) --engine rtl --sim $(SIM) -o $@

build/%/hls.json: build/%/accelerator/manifest.json
	$(BITPROOF) simulate $(<D) --data $(DATA) --engine hls -o $@

build/%/input.json: build/%/graph.json
	$(BITPROOF) certify $< --property input --radius 1 --radius 2 --radius 3 --data $(DATA) --certificates $(@D)/certificates -o $@

build/%/pixel.json: build/%/graph.json
	$(BITPROOF) certify $< --property pixel --radius 1 --radius 2 --radius 4 --radius 16 --data $(DATA) --certificates $(@D)/certificates -o $@

build/%/bits.json: build/%/graph.json
	$(BITPROOF) certify $< --property bits --data $(DATA) --certificates $(@D)/certificates -o $@

build/%/bfa.json: build/%/graph.json
	$(BITPROOF) attack $< --method bfa --budget 200 --seed 0 --seed 1 --seed 2 --data $(DATA) -o $@

build/%/random.json: build/%/graph.json
	$(BITPROOF) attack $< --method random --budget 200 --seed 0 --seed 1 --seed 2 --data $(DATA) -o $@

build/%/campaign/record.json: docs/examples/campaign-%.toml build/%/accelerator/manifest.json
	$(BITPROOF) campaign resume $< --replace -o $(@D)

define bitstream_for
build/%/$1/manifest.json: build/%/accelerator/manifest.json $(wildcard hls/boards/$1/*)
	$$(BITPROOF) synth $$(<D) --board $1 -o $$(@D)
endef
$(foreach board,$(BOARDS),$(eval $(call bitstream_for,$(board))))

build/%/board.json: build/%/ulx3s/manifest.json
	$(BITPROOF) simulate $(<D) --data $(DATA) --engine board --limit 10 -o $@

# `make bitstream`: what it may be asked for, an ONNX file of its own, or with CYCLES or SEEDS.

ifneq ($(filter bitstream,$(MAKECMDGOALS)),)
ifeq ($(filter $(BOARD),$(BOARDS)),)
$(error BOARD=$(BOARD): no such board; choose one of $(sort $(BOARDS)))
endif
ifeq ($(wildcard models/recipes/$(MODEL).toml $(filter %.onnx,$(MODEL))),)
$(error MODEL=$(MODEL): no recipe of models/recipes and no .onnx file; name one of them)
endif
endif

ifneq ($(filter %.onnx,$(MODEL)),)
build/$(NAME)/graph.json: $(MODEL) | $(VENV)/ready
	$(BITPROOF) lower $< -o $@
endif

ifdef CYCLES
build/$(NAME)/accelerator$(FOLDED)/manifest.json: build/$(NAME)/graph.json $(wildcard hls/rtl/*.sv hls/kernels/*.hpp)
	$(BITPROOF) build $< --cycles $(CYCLES) -o $(@D)
endif

ifneq ($(CYCLES)$(SEEDS),)
build/$(NAME)/$(BOARD)$(FOLDED)$(CHOSEN)/manifest.json: build/$(NAME)/accelerator$(FOLDED)/manifest.json $(wildcard hls/boards/$(BOARD)/*)
	$(BITPROOF) synth $(<D) --board $(BOARD) $(SEEDS:%=--seeds %) -o $(@D)
endif

build/report.html: $(RESULTS)
	$(BITPROOF) report $(NETWORKS:%=build/%) -o $@
