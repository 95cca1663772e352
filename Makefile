# Each target is one line over the `stack` command: .venv/bin/python -m stack --help
SHELL := /bin/sh
PYTHON ?= python3
STACK := .venv/bin/python -m stack
INSTALL := .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --require-hashes --no-deps -r
.DEFAULT_GOAL := help

.PHONY: up
up: .venv/stack ## Start everything; no key, no account, no Docker needed (WITH=jaeger: one more vendor)
	@$(STACK) up

.PHONY: dev
dev: .venv/stack ## Start everything natively; page and services follow their sources
	@$(STACK) dev

.PHONY: down
down: .venv/stack ## Stop everything
	@$(STACK) down

.PHONY: status
status: .venv/stack ## What runs; the ledger: accepted, sent, queued, failed by vendor
	@$(STACK) status

.PHONY: verify
verify: .venv/stack ## One trace, metric and log, shown arriving at every vendor (FROM=page: a click)
	@$(STACK) verify --from $(or $(FROM),app)

.PHONY: doctor
doctor: .venv/stack ## Settings, keys, ports, clock, versions: what is wrong and what to do
	@$(STACK) doctor

.PHONY: break
break: .venv/stack ## Spoil a stand-in: make break VENDOR=xray MODE=hang
	@$(STACK) break $(VENDOR) $(MODE)

.PHONY: heal
heal: .venv/stack ## Every stand-in is well again
	@$(STACK) heal

.PHONY: provision
provision: .venv/stack ## X-Ray group and sampling rule, log groups, alarms; shows the difference first
	@$(STACK) provision

.PHONY: queries
queries: .venv/stack ## The team's Honeycomb queries
	@$(STACK) queries

.PHONY: logs
logs: .venv/stack ## What the services printed (SERVICE=collector for one)
	@$(STACK) logs $(SERVICE)

.PHONY: validate
validate: .venv/stack ## Check collector/otel-config.yaml
	@$(STACK) validate

.PHONY: reload
reload: .venv/stack ## Apply an edited collector config; refuse a bad one; lose nothing
	@$(STACK) reload

.PHONY: certificates
certificates: .venv/stack ## Certificates and a token of this machine, for OTLP_ACCESS in .env
	@$(STACK) certificates

.PHONY: replay
replay: .venv/stack ## Send again what a vendor refused for good, once that is put right (VENDOR=xray: only its)
	@$(STACK) replay $(VENDOR)

.PHONY: faults
faults: .venv/dev ## Break every vendor in every way (RUNS=200 SEED=7: drawn cases); docs/reliability.md
	@$(STACK) faults --runs $(or $(RUNS),0) --seed $(or $(SEED),0) --runtime $(or $(RUNTIME),native)

.PHONY: controls
controls: .venv/dev ## Take each security control out of a copy, and see its test red (ONLY=keys)
	@$(STACK) controls --only "$(ONLY)"

.PHONY: test
test: .venv/dev ## Every check there is
	@$(STACK) test

.PHONY: lock
lock: .venv/dev ## Renew the lock files from the *.in files
	@$(STACK) lock

.PHONY: sbom
sbom: .venv/dev ## List every package in sbom.cdx.json (CycloneDX)
	@$(STACK) sbom

.PHONY: rules
rules: .venv/dev ## Renew the rules for secrets from the gitleaks that is pinned
	@$(STACK) rules

.PHONY: audit
audit: .venv/dev ## Known vulnerabilities in what is locked; asks the internet
	@$(STACK) audit

.PHONY: help
help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# Its programs begin with the path where it was made, its packages belong to one Python: an
# environment in a folder that was renamed or copied, or without its Python, is made anew.
STALE := $(shell [ ! -e .venv/stack ] || { .venv/bin/python -c 'import pip' 2>/dev/null && \
	[ "$$(sed -n 's/^command = .* -m venv //p' .venv/pyvenv.cfg)" -ef .venv ]; } || echo stale)
.PHONY: anew
anew:
	@rm -rf .venv

# An environment whose lock changed is filled again; pip leaves what is right untouched.
.venv/stack: requirements.txt $(STALE:stale=anew)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed. Name one: make PYTHON=python3.13" >&2; exit 1; }
	@[ -x .venv/bin/pip ] || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "error: Python cannot make a virtual environment. On Debian: apt-get install python3-venv." >&2; exit 1; }
	@echo "installing the operator's packages"
	@$(INSTALL) $< || { echo "error: $< could not be installed. Check that Python's package index can be reached, then try again." >&2; exit 1; }
	@touch $@

.venv/dev: requirements-dev.txt .venv/stack
	@echo "installing the packages for tests and lint"
	@$(INSTALL) $< || { echo "error: $< could not be installed. Check that Python's package index can be reached, then try again." >&2; exit 1; }
	@touch $@
