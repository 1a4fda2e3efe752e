# The server with the embedded reader, on the CPU. `--target cuda` adds Gemma for NVIDIA GPUs. The
# server runs as user 10001, or any other user of group 0 as on OpenShift, on a read-only root
# filesystem. It writes logs and tokens to /var/lib/keylike; large request bodies are buffered in
# /tmp.
#
#   docker build -t keylike .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -p 127.0.0.1:5000:5000 -v keylike:/var/lib/keylike -e KEYLIKE_API_KEY keylike
#
# Mount your own models, never copy them in:
#   -v "$PWD/models/my-lora:/models/my-lora:ro" -e MODEL_PATH=/models/my-lora

# The tag names Python and Debian; the digest pins the build, for every platform. Change both together.
ARG PYTHON=python:3.13.16-slim-trixie@sha256:70729b46c69b4f1e97c4822c1af3df53a1476cf5ddc6c087c0c10bc3a5678c2f

# The locked packages in an environment without pip. Only wheels, so that no setup.py runs.
FROM ${PYTHON} AS packages
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt ./
RUN python -m venv --without-pip /opt/keylike \
    && python -m pip --python /opt/keylike/bin/python install --only-binary :all: --require-hashes -r requirements.txt

FROM packages AS packages-cuda
COPY locks/torch.txt locks/gpu.txt ./
RUN python -m pip --python /opt/keylike/bin/python install --only-binary :all: --require-hashes -r torch.txt \
    && python -m pip --python /opt/keylike/bin/python install --only-binary :all: --require-hashes -r gpu.txt

# Files are copied by name, so that nothing else in the folder gets into an image. They are compiled
# here, because the root filesystem is read-only at run time.
FROM ${PYTHON} AS code
WORKDIR /keylike
COPY app.py ./
COPY keylike keylike
COPY samples samples
COPY models/caliper models/caliper
COPY locks/torch.txt locks/gemma.txt locks/
COPY LICENSE requirements.txt ./
# COPY keeps the modes of the checkout, which may be closed to other users.
RUN chmod -R a+rX . \
    && python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${PYTHON} AS runtime
LABEL org.opencontainers.image.title="Keylike" \
    org.opencontainers.image.description="Read the code of a house key from a photo." \
    org.opencontainers.image.version="2.0.0" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.base.name="docker.io/library/python"
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip \
    && rm -r "$(python -c 'import ensurepip, os; print(os.path.dirname(ensurepip.__file__))')" \
    && useradd --system --uid 10001 --gid 0 --no-create-home --home-dir /var/lib/keylike --shell /usr/sbin/nologin keylike \
    && install -d -o 10001 -g 0 -m 0770 /var/lib/keylike
COPY --from=code /keylike /keylike
WORKDIR /keylike
# ONNX Runtime reports to its maker unless telemetry is off. KEYLIKE_TOKENS is a path, not a secret.
# hadolint ignore=DL3064
ENV PATH=/opt/keylike/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    KEYLIKE_HOST=0.0.0.0 \
    KEYLIKE_LOGS=/var/lib/keylike/logs \
    KEYLIKE_TOKENS=/var/lib/keylike/tokens.sqlite3
USER 10001:0
VOLUME ["/var/lib/keylike"]
EXPOSE 5000
STOPSIGNAL SIGTERM
# http.client, because urllib would ask a proxy from the environment for this machine. 401 also means
# healthy: with KEYLIKE_POLICY=all and no KEYLIKE_API_KEY the check has no token to send.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import http.client, os, sys; token = os.getenv('KEYLIKE_API_KEY'); c = http.client.HTTPConnection('127.0.0.1', int(os.getenv('KEYLIKE_PORT') or 5000), timeout=4); c.request('GET', '/health/ready', headers={'X-API-Key': token} if token else {}); sys.exit(c.getresponse().status not in (200, 401))"]
CMD ["python", "app.py"]

# docker build --target cuda -t keylike-cuda .   then   docker run --gpus all ...
FROM runtime AS cuda
# Triton, which Unsloth uses, compiles a C module for the GPU that it finds. Only this image has a
# compiler. Triton's output needs a folder from which code may run; /tmp is often mounted noexec.
USER 0
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY --from=packages-cuda /opt/keylike /opt/keylike
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    TRITON_CACHE_DIR=/var/lib/keylike/triton \
    TORCHINDUCTOR_CACHE_DIR=/var/lib/keylike/inductor
USER 10001:0

FROM runtime AS cpu
COPY --from=packages /opt/keylike /opt/keylike
