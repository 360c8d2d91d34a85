# The front door. `make help` lists the targets; each prints what it runs.
PRESET ?= release
JOBS ?= $(shell nproc)
VENV := build/venv/bin
export LC_ALL = C.UTF-8

.DEFAULT_GOAL := help
.PHONY: help bootstrap build test test-isa soak fuzz check lint fmt bench bench-index demo dist clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## Install what a Debian 12 machine lacks to build and test (says what it does; nothing if all is there)
	@tools/bootstrap build test

.PHONY: configure build-all
configure:
	@tools/bootstrap build
	@cmake --preset $(PRESET) >build/cmake-$(PRESET).log || { cat build/cmake-$(PRESET).log; exit 1; }

build: configure ## Build build/release/bin/longbow (PRESET=dev, asan-ubsan or tsan for another build)
	cmake --build build/$(PRESET) --parallel $(JOBS) --target longbow

build-all: configure
	cmake --build build/$(PRESET) --parallel $(JOBS)

test: build-all ## Build and run all tests; ends with "N passed, N failed, N skipped"
	@tools/bootstrap test
	@$(VENV)/python tools/run_tests --preset $(PRESET) --isa auto

test-isa: build-all ## Run the whole suite once for each instruction set of this CPU
	@tools/bootstrap test
	@$(VENV)/python tools/run_tests --preset $(PRESET) --isa all

soak: build-all ## Kill the server, its disk and its power for HOURS=1: crash loop, kill points, model test; prints counts and seeds
	@tools/bootstrap test
	@$(VENV)/python tools/soak --preset $(PRESET) $(if $(HOURS),--hours $(HOURS)) $(if $(SEED),--seed $(SEED))

fuzz: ## Fuzz every parser (x_fuzz.cc), or those of FUZZERS="log manifest", for SECONDS=60 each from tests/corpus, under ASan and UBSan
	@tools/bootstrap build
	@cmake --preset fuzz >build/cmake-fuzz.log || { cat build/cmake-fuzz.log; exit 1; }
	cmake --build build/fuzz --parallel $(JOBS) --target $(if $(FUZZERS),$(FUZZERS:%=%_fuzz),fuzzers)
	@tools/fuzz/run $(or $(SECONDS),60) "$(SEED)" $(FUZZERS)

check: ## What a change must pass: linters, then the suite under AddressSanitizer and UBSan
	@tools/bootstrap build test dev
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test PRESET=asan-ubsan

lint: ## Run the linters over the whole tree (formatting, types, spelling, shell, layers)
	@tools/bootstrap dev test
	$(VENV)/pre-commit run --all-files

fmt: ## Format C++ and Python in place
	@tools/bootstrap dev
	git ls-files '*.h' '*.cc' '*.inc' | xargs --no-run-if-empty clang-format-14 -i
	$(VENV)/ruff format
	$(VENV)/ruff check --fix --select I

bench: configure ## Build and run the microbenchmarks (x_bench.cc beside the code)
	@$(VENV)/python tools/run_bench $(PRESET)

bench-index: build ## Our index beside other libraries: [DATA=folder] [PEERS=hnswlib,symphonyqg] [RUNS=5] [SETS=..] [ROWS=..] [STATES=..] [TABLES=..]
	@$(VENV)/python bench/peers/compare.py $(if $(DATA),--data $(DATA)) $(if $(PEERS),--peers $(PEERS)) $(if $(RUNS),--runs $(RUNS)) \
	  $(if $(SETS),--sets $(SETS)) $(if $(ROWS),--rows $(ROWS)) $(if $(STATES),--states $(STATES)) $(if $(TABLES),--tables $(TABLES))

demo: export TEXT := $(value TEXT)
demo: build ## Load real data, ask, kill -9, recover, measure; TEXT="..." embeds a question of yours and searches
	@demo/run $${TEXT:+"$$TEXT"}

dist: build ## Make dist/longbow-<version>-linux-<arch>.tar.gz, which runs on a bare Debian 12
	@$(VENV)/python tools/make_dist

clean: ## Remove the builds, keep the venv
	rm -rf build/dev build/release build/asan-ubsan build/tsan build/fuzz dist
