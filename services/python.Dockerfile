# Any Python service, of its folder and its own requirements, with the distro: the entries that `make
# add-service` writes build it. The context is a folder that holds both the service and this project:
#   docker build --file otel-stack/services/python.Dockerfile --build-arg STACK=otel-stack \
#     --build-arg SOURCE=orders --build-arg REQUIREMENTS=requirements.txt --build-arg SERVER=gunicorn .
# Of it only what COPY names is read, without python.Dockerfile.dockerignore's.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
SHELL ["/bin/sh", "-euc"]
ARG STACK
ARG SOURCE
ARG REQUIREMENTS=requirements.txt
ARG SERVER=gunicorn
COPY ${STACK}/distro /tmp/distro
COPY ${SOURCE} /tmp/source
WORKDIR /tmp/source
# Hashes are asked of what has one, and then of nothing: what is added has none. The secrets are those
# of services/Dockerfile.
RUN --mount=type=secret,id=ca_bundle --mount=type=secret,id=pip_conf \
    python3 -m venv /opt/venv; \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    if [ -s /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi; \
    export PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1; \
    wanted="$REQUIREMENTS"; \
    if [ "$REQUIREMENTS" = pyproject.toml ]; then \
      wanted=/tmp/wanted.txt; \
      python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' >"$wanted"; \
    fi; \
    /opt/venv/bin/pip install -r "$wanted"; \
    sed 's/--hash=[^ ]*//g; s/\\$//' "$wanted" >.without-hashes.txt; \
    set -- -r .without-hashes.txt /tmp/distro "$SERVER"; \
    /opt/venv/bin/pip install "$@"; \
    /opt/venv/bin/opentelemetry-bootstrap --action=requirements >.instrumentation.txt; \
    /opt/venv/bin/pip install "$@" -r .instrumentation.txt; \
    rm -rf /opt/venv/bin/pip* /opt/venv/lib/python3*/site-packages/pip \
      /opt/venv/lib/python3*/site-packages/pip-*

FROM ${PYTHON_IMAGE} AS production
SHELL ["/bin/sh", "-euc"]
RUN rm -rf /usr/share/python-wheels /usr/lib/python3/dist-packages/pip* /usr/bin/pip* \
      /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* \
      /usr/local/lib/python3*/ensurepip /usr/lib/python3*/ensurepip
ARG STACK
ARG SOURCE
COPY --from=packages /opt/venv /opt/venv
COPY ${STACK}/services/probe.py /probe.py
COPY ${SOURCE} /app
WORKDIR /app
# The root may be read-only: only /tmp is written to.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
USER 10001:10001
EXPOSE 8000
