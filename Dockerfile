# The image of the GitHub Action. `tools/release.py` names the base by its digest and sets the arguments below; a
# build from a checkout follows the tag. What is in the image, and why: docs/decisions/0033-the-image.md.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build

# An environment of its own, without pip: the one of the base image fills it. Wheels only, so that nothing runs
# while installing; each is held against the hash in the lock.
COPY requirements/runtime.txt tools/image.py /tmp/
RUN python3 -m venv --without-pip /opt/package-keeper/venv \
    && python3 /tmp/image.py lock /tmp/runtime.txt >/tmp/image.txt \
    && python3 -m pip --python /opt/package-keeper/venv install --no-cache-dir --no-compile --no-deps \
        --only-binary :all: --require-hashes --requirement /tmp/image.txt

COPY LICENSE entrypoint.py /opt/package-keeper/
COPY src /opt/package-keeper/src
RUN /opt/package-keeper/venv/bin/python -I -B /tmp/image.py fill /image


FROM ${BASE}

# where the bytecode of the standard library lies, which the base has without: beside its source
COPY --from=build /image/ /

# No USER: the runner's files are writable for root alone. No WORKDIR: the runner sets it.
# Absolute paths and -I, because PATH and PYTHONPATH come from the workflow, and the working directory is the
# workspace, with any module in it; -u, because a log that stands in a buffer is lost when a run is killed; -B,
# because the image has its bytecode. Two variables choose the environment, and with it the modules, in spite of
# -I: they are unset first. `env` becomes Python, so that signals reach it as process 1; it holds them back until
# the program handles them, for process 1 would lose them.
ENTRYPOINT ["/usr/bin/env", "--block-signal=HUP,INT,TERM", \
            "-u", "PYTHONEXECUTABLE", "-u", "__PYVENV_LAUNCHER__", \
            "/opt/package-keeper/venv/bin/python", "-I", "-u", "-B", "/opt/package-keeper/entrypoint.py"]

ARG SOURCE=https://github.com/OWNER/package-keeper
ARG REVISION=""
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Package Keeper" \
      org.opencontainers.image.description="Deletes, keeps and restores versions of GitHub Packages" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"
