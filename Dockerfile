# The same steps as the Makefile's: a virtual environment, packages by hash from the lock, the wheel of this checkout.
#
#   docker build -t stepbridge .
#   docker build -t stepbridge --build-arg LOCK=tracing .    # with what `observe.tracing` needs
#   docker run --read-only --tmpfs /tmp -p 8080:8080 -e KAFKA_BOOTSTRAP_SERVERS=kafka:9092 stepbridge
#
# /etc/stepbridge/stepbridge.yaml is an example: mount your own over it. In a container the bridge listens on 0.0.0.0,
# which it refuses unless the file says who may call it, or `auth: none`.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
ARG LOCK=run
COPY requirements/run.txt requirements/tracing.txt requirements/build.txt requirements/
RUN python -m venv /opt/stepbridge \
 && /opt/stepbridge/bin/python -m pip install --require-hashes -r requirements/${LOCK}.txt
RUN python -m venv /opt/build \
 && /opt/build/bin/python -m pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY proxy proxy
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/stepbridge/bin/python -m pip install --no-deps --no-index /dist/stepbridge-*.whl

FROM python:3.11.14-slim-bookworm
ENV PATH=/opt/stepbridge/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/stepbridge /opt/stepbridge
COPY deploy/stepbridge.yaml /etc/stepbridge/stepbridge.yaml
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import http.client as http; admin = http.HTTPConnection('127.0.0.1', 9090, timeout=2); admin.request('GET', '/healthz'); raise SystemExit(admin.getresponse().status != 200)"]
ENTRYPOINT ["stepbridge"]
CMD ["serve", "--config", "/etc/stepbridge/stepbridge.yaml"]
