# The image of the GitHub Action. The released action names a digest of the built image; while developing the
# base is followed by its tag.
FROM python:3.13-slim AS build

# An environment of its own, without pip: the one of the base image fills it. Wheels only, so that nothing runs
# while installing; each is held against the hash in the lock.
COPY requirements/runtime.txt /tmp/runtime.txt
RUN python3 -m venv --without-pip /opt/package-keeper/venv \
    && python3 -m pip --python /opt/package-keeper/venv install \
        --no-cache-dir --no-compile --only-binary :all: --require-hashes --requirement /tmp/runtime.txt

COPY LICENSE entrypoint.py /opt/package-keeper/
COPY src /opt/package-keeper/src
# Bytecode now, not in each run; trusted unchecked, for nothing changes in an image.
RUN /opt/package-keeper/venv/bin/python -I -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        /opt/package-keeper/venv/lib /opt/package-keeper/src


FROM python:3.13-slim

LABEL org.opencontainers.image.title="Package Keeper" \
      org.opencontainers.image.description="Deletes, keeps and restores versions of GitHub Packages" \
      org.opencontainers.image.licenses="MIT"

COPY --from=build /opt/package-keeper /opt/package-keeper

# No USER: the runner's files are writable for root alone. No WORKDIR: the runner sets it.
# Absolute paths and -I, because PATH and PYTHONPATH come from the workflow, and the working directory is the
# workspace, with any module in it; -u, because a log that stands in a buffer is lost when a run is killed; -B,
# because the image has its bytecode. Two variables choose the environment, and with it the modules, in spite of
# -I: they are unset first. `env` becomes Python, so that signals reach it as process 1.
ENTRYPOINT ["/usr/bin/env", "-u", "PYTHONEXECUTABLE", "-u", "__PYVENV_LAUNCHER__", \
            "/opt/package-keeper/venv/bin/python", "-I", "-u", "-B", "/opt/package-keeper/entrypoint.py"]
