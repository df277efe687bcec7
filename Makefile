# What people do here, by name. `make` alone lists it. Needs a Rust toolchain, a C compiler and
# nothing else; the first build fetches the dependencies, everything later works without network.

CARGO ?= cargo
# How many compilers run at once. More than two want more than 4 GB of memory.
JOBS ?= 2
# Where `make run` keeps its data.
DATA_DIR ?= var

.DEFAULT_GOAL := help
.PHONY: help run demo test check generate deps fmt

help: ## Lists what can be made
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Runs the whole service in one process, its data in ./var
	@$(CARGO) build -j $(JOBS) -p session-standalone
	@$(CARGO) run -q -p session-standalone -- --data-dir $(DATA_DIR)

demo: ## Plays a day of one user on four devices against what `make run` started
	@$(CARGO) build -j $(JOBS) -p session-standalone --bins
	@$(CARGO) run -q -p session-standalone --bin session-demo -- --service-key-file $(DATA_DIR)/service-key

test: ## Runs all tests
	$(CARGO) test --workspace -j $(JOBS) --no-fail-fast

check: ## Checks formatting, lints, layers, documentation and dependencies
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -j $(JOBS) -- -D warnings
	$(CARGO) test -q -p session-testkit --test layers --test documents -j $(JOBS)
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps -q -j $(JOBS)
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --all-features check; \
	else \
		echo "cargo-deny isn't installed: licences, bans and advisories were NOT checked (deny.toml)"; \
	fi

generate: ## Writes everything that is generated: the files are committed, CI finds forgotten ones
	@$(CARGO) build -q -j $(JOBS) -p session-standalone
	@mkdir -p target
	@$(CARGO) run -q -p session-standalone -- openapi > target/openapi.json
	@$(CARGO) run -q -p session-standalone -- settings > target/settings.md
	@mv target/openapi.json target/settings.md docs/
	@$(CARGO) run -q -p session-device --example make_geoip_fixture -j $(JOBS) -- libs/device/tests/data

deps: ## Fetches all dependencies, so that everything else works without network
	$(CARGO) fetch --locked

fmt: ## Formats the code
	$(CARGO) fmt --all
