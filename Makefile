# Each target is one line over the `stack` command (.venv/bin/python -m stack --help) or, for what only
# people who work on the project need, over a module of tools/.
SHELL := /bin/sh
PYTHON ?= python3
STACK := .venv/bin/python -m stack
# The caller's pip where there is one: making another takes longer than all that it installs.
PIP = if [ -e .venv/bin/pip ]; then echo .venv/bin/python -m pip; else echo $(PYTHON) -m pip --python .venv/bin/python; fi
PIP_INSTALL := install --quiet --no-input --disable-pip-version-check --no-compile --require-hashes --no-deps --only-binary=:all:
INSTALL := .venv/bin/python -m stack.packages
.DEFAULT_GOAL := help

##@ Run

.PHONY: up
up: .venv/stack ## Start everything; no key, no account, no Docker needed (WITH=jaeger: one more vendor)
	@$(STACK) up

.PHONY: dev
dev: .venv/stack ## Start everything natively; page and services follow their sources
	@$(STACK) dev

.PHONY: down
down: .venv/stack ## Stop everything
	@$(STACK) down

.PHONY: restart
restart: .venv/stack ## Stop everything and start it again (SERVICE=collector: only that)
	@$(STACK) restart $(SERVICE)

.PHONY: clean
clean: .venv/stack ## Remove what was built and recorded here, after showing it (YES=1: without asking)
	@$(STACK) clean $(if $(YES),--yes)

.PHONY: env
env: .venv/stack ## The variables of a service that runs elsewhere (SERVICE=orders FORMAT=export|dotenv|compose|docker|json)
	@$(STACK) env $(if $(SERVICE),'$(SERVICE)') $(if $(FORMAT),--format=$(FORMAT)) $(if $(FOR),--for=$(FOR)) $(if $(SDK),--sdk=$(SDK))

.PHONY: add-service
add-service: .venv/stack ## A service of yours becomes part of the stack (NAME=orders SOURCE=../orders APP=orders:app)
	@$(STACK) add-service $(if $(NAME),'$(NAME)') $(if $(SOURCE),'$(SOURCE)') $(if $(APP),--app='$(APP)') $(if $(HEALTH),--health='$(HEALTH)') $(if $(VERIFY),--verify='$(VERIFY)') $(if $(PORT),--port='$(PORT)')

.PHONY: certificates
certificates: .venv/stack ## Certificates and a token of this machine, for OTLP_ACCESS in .env
	@$(STACK) certificates

##@ Look

.PHONY: status
status: .venv/stack ## What runs; the ledger: accepted, sent, queued, failed by vendor (WATCH=1: again and again)
	@$(STACK) status $(if $(WATCH),--watch)

.PHONY: verify
verify: .venv/stack ## One trace, metric and log, shown arriving at every vendor (FROM=page: a click; URL=http://…: a service of yours)
	@$(STACK) verify $(if $(URL),--url='$(URL)',--from $(or $(FROM),app))

.PHONY: doctor
doctor: .venv/stack ## Settings, keys, ports, clock, versions: what is wrong and what to do
	@$(STACK) doctor

.PHONY: logs
logs: .venv/stack ## What the services printed (SERVICE=collector for one)
	@$(STACK) logs $(SERVICE)

.PHONY: traces
traces: .venv/stack ## The last traces (SERVICE=backend-flask STATUS=error|5xx SLOWER=200ms SINCE=10min LIMIT=20)
	@$(STACK) traces $(if $(SERVICE),--service '$(SERVICE)') $(if $(STATUS),--status '$(STATUS)') $(if $(SLOWER),--slower '$(SLOWER)') $(if $(SINCE),--since '$(SINCE)') $(if $(LIMIT),--limit '$(LIMIT)')

.PHONY: trace
trace: .venv/stack ## One trace from service to service, with its log records: make trace ID=8fa534c0
	@$(STACK) trace -- '$(ID)'

.PHONY: ports
ports: .venv/stack ## Every port, its setting, and who holds it
	@$(STACK) ports

##@ Vendors

.PHONY: validate
validate: .venv/stack ## Check collector/otel-config.yaml
	@$(STACK) validate

.PHONY: reload
reload: .venv/stack ## Apply an edited collector config; refuse a bad one; lose nothing
	@$(STACK) reload

.PHONY: import
import: .venv/stack ## Turn a vendor's published config or snippet into our form (FILE=… NAME=… WRITE=fragment|config)
	@$(STACK) import $(if $(FILE),'$(FILE)') $(if $(NAME),--name='$(NAME)') $(if $(WRITE),--write=$(WRITE))

.PHONY: break
break: .venv/stack ## Spoil an emulator: make break VENDOR=xray MODE=hang
	@$(STACK) break $(VENDOR) $(MODE)

.PHONY: heal
heal: .venv/stack ## Every emulator is well again
	@$(STACK) heal

.PHONY: replay
replay: .venv/stack ## Send again what a vendor refused for good, once that is put right (VENDOR=xray: only its)
	@$(STACK) replay $(VENDOR)

.PHONY: provision
provision: .venv/stack ## X-Ray group and sampling rule, log groups, alarms; shows the difference first
	@$(STACK) provision

.PHONY: queries
queries: .venv/stack ## The team's Honeycomb queries
	@$(STACK) queries

##@ Develop

.PHONY: faults
faults: .venv/dev ## Break every vendor in every way (RUNS=200 SEED=7: drawn cases); docs/reliability.md
	@.venv/bin/python -m tools.faults --runs $(or $(RUNS),0) --seed $(or $(SEED),0) --runtime $(or $(RUNTIME),native)

.PHONY: controls
controls: .venv/dev ## Take each security control out of a copy, and see its test red (ONLY=keys)
	@.venv/bin/python -m tools.controls --only "$(ONLY)"

.PHONY: test
test: .venv/dev ## Every check there is
	@.venv/bin/python -m tools.checks

.PHONY: lock
lock: .venv/dev ## Renew the lock files from the *.in files
	@.venv/bin/python -m tools.lock

# Tools of each ecosystem; Python's are in requirements-dev.txt, Go's checksum database vouches for the others'.
CYCLONEDX_GOMOD := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
CYCLONEDX_NPM := @cyclonedx/cyclonedx-npm@6.0.1
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
SHIPPED := requirements.txt services/requirements.txt services/frontend/server/requirements.txt emulators/requirements.txt
NOT_SHIPPED := requirements-dev.txt distro/tests/programs/requirements.txt tools/test_machine/requirements.txt collector/build/requirements-go.txt
BUILD_COLLECTOR := .venv/bin/python -c 'from stack.collector_build import ensure_collector_binary as b; from stack.settings import ROOT; b(ROOT)'
# `$(call bill,locks,file)`: the hashes stay in the locks, and no index is named, as the tool's own page on it is in later formats.
bill = cat $(1) | sed -n 's/^\([A-Za-z0-9][^ ;\\]*\).*/\1/p' | sort -u | \
	.venv/bin/cyclonedx-py requirements - --index-url '' --spec-version 1.3 --output-reproducible --output-file $(2)

.PHONY: sbom
sbom: .venv/dev ## List every package in sbom/ (CycloneDX)
	@$(call bill,$(SHIPPED),sbom/python.cdx.json)
	@$(call bill,$(NOT_SHIPPED),sbom/development.cdx.json)
	@cd services/frontend && npx --yes $(CYCLONEDX_NPM) --package-lock-only --output-reproducible --output-file ../../sbom/page.cdx.json
	@$(BUILD_COLLECTOR)
	@go run $(CYCLONEDX_GOMOD) bin -json -noserial -output sbom/collector.cdx.json .run/bin/otelcol

.PHONY: rules
rules: .venv/dev ## Renew the rules for secrets from the gitleaks that is pinned
	@.venv/bin/python -m tools.secret_rules
	@.venv/bin/python -m tools.secret_patterns

.PHONY: patterns
patterns: .venv/dev ## Make the services' and the page's patterns of collector/redaction.yaml
	@.venv/bin/python -m tools.secret_patterns

.PHONY: audit audit-python audit-collector audit-page
audit: ## Known vulnerabilities in what is locked; asks the internet
	@$(MAKE) --no-print-directory --keep-going audit-python audit-collector audit-page

# Strict: a package that nobody could be asked about is an error. Without, pip-audit finds nothing in it.
audit-python: .venv/dev
	@for lock in $(SHIPPED) $(NOT_SHIPPED); do echo "pip-audit $$lock"; \
		.venv/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner=off --requirement $$lock || failed=yes; \
	done; [ -z "$$failed" ]

audit-collector: .venv/dev
	@$(BUILD_COLLECTOR)
	@go run $(GOVULNCHECK) -mode=binary .run/bin/otelcol

audit-page:
	@cd services/frontend && npm audit --package-lock-only

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Its programs begin with the path where it was made, its packages belong to one Python: an
# environment in a folder that was renamed or copied, or without its Python, is made anew.
STALE := $(shell [ ! -e .venv/stack ] || { .venv/bin/python -c 'import pip, uv' 2>/dev/null && \
	[ "$$(sed -n 's/^command = .* -m venv \(--without-pip \)*//p' .venv/pyvenv.cfg)" -ef .venv ]; } || echo stale)
# What does not run for one user may be another one's, whose Python the first cannot see.
OURS := [ ! -e .venv ] || [ -O .venv ] || { echo "error: .venv belongs to $$(ls -ld .venv | awk '{ print $$3 }') and cannot be used by $$(id -un) as it is. Run make as its owner, or in a clone of your own." >&2; exit 1; }
# In MB, by a first `make up`: 100 here, 540 for the services and the emulators, 120 for the collector,
# 230 for the page (measured 2026-11-30); Go's caches are in the caller's home.
ROOM := 1000
ENOUGH := free=$$(df -Pk . | awk 'END { print int($$4 / 1024) }'); [ "$$free" -ge $(ROOM) ] || { echo "error: a first \`make up\` needs $(ROOM) MB on this disk, and $$free MB are free. Make room, then try again." >&2; exit 1; }

# `$(call tell,what failed otherwise)`: why a program ended that printed $$said.
define tell
{ echo "$$said" >&2; case "$$said" in \
	*"No space left"*|*"Errno 28]"*|*"uota exceeded"*) echo "error: the disk is full ($$(df -Pk . | awk 'END { print int($$4 / 1024) }') MB are free here; pip needs some in $${TMPDIR:-/tmp}, too). Make room, then try again." >&2 ;; \
	*"ermission denied"*) echo "error: $$(id -un) may not write here. Work in a clone of your own." >&2 ;; \
	*) echo "error: $(1)" >&2 ;; esac; exit 1; }
endef
NO_INDEX = $< could not be installed. Check that Python's package index can be reached, then try again.

.PHONY: anew
anew:
	@$(OURS)
	@rm -rf .venv

# An environment whose lock changed is filled again; uv leaves what is right untouched. pip brings uv.
.venv/stack: requirements.txt $(STALE:stale=anew)
	@$(OURS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed. Name one: make PYTHON=python3.13" >&2; exit 1; }
	@[ -x .venv/bin/uv ] || { $(ENOUGH); }
	@[ -x .venv/bin/uv ] || said=$$($(PYTHON) -m venv $$($(PYTHON) -m pip --version >/dev/null 2>&1 && echo --without-pip) .venv 2>&1) || { rm -rf .venv; $(call tell,Python cannot make a virtual environment. On Debian: apt-get install python3-venv.); }
	@echo "installing the operator's packages" >&2
	@said=$$(sed -n -E '/^(pip|uv)==/,/[^\]$$/p' $< | $$($(PIP)) $(PIP_INSTALL) -r /dev/stdin 2>&1) || $(call tell,$(NO_INDEX))
	@$(INSTALL) $<
	@touch $@

.venv/dev: requirements-dev.txt distro/pyproject.toml .venv/stack
	@echo "installing the packages for tests and lint"
	@$(INSTALL) $< distro
	@touch $@
