# The image of correction-runner: one static program, and the few files that it looks for. It takes the place of
# the original's image (correctomatic/runner): the same PROCESS, settings, mounts and user.
#
#   docker build --tag correction-runner .
#   docker run --env PROCESS=notifier --env REDIS_HOST=redis correction-runner
#
# It takes BuildKit, which engines before 23 use only where they are told to: DOCKER_BUILDKIT=1 docker build ….
# docs/installing.md has the rest. Without a registry: scripts/make_image.

ARG RUST=1.95

FROM rust:${RUST}-slim-bookworm AS build
WORKDIR /source
COPY . .
# The commit for --version, such as "76dadbe, 2026-11-23"; not needed where .git is there.
ARG CORRECTION_RUNNER_COMMIT=
# The group of the engine's socket on the host, as in the original's image: stat -c %g /var/run/docker.sock
ARG DOCKER_GROUP_ID=999
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    packaging/image/build_static && \
    packaging/image/lay_out target/static/release/correction-runner /image "$DOCKER_GROUP_ID"

# From here on it is the same with scripts/make_image, which takes the folder /image from this machine.
FROM scratch
COPY --from=build /image /
LABEL org.opencontainers.image.title="correction-runner" \
      org.opencontainers.image.description="Runs strangers' submissions in containers and tells the caller the grade" \
      org.opencontainers.image.licenses="MIT"
# The user `node` of the original's image has the same numbers. It is in the engine's group too (DOCKER_GROUP_ID),
# which a number with a group (1000:1000) would undo.
USER 1000
# A .env here is read, as in the original's image.
WORKDIR /app
ENV PATH=/usr/local/bin
STOPSIGNAL SIGTERM
# Asks /healthz where HTTP_LISTEN is set; else there is nothing to ask, and a process that runs is well.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/correction-runner", "health", "--if-set"]
ENTRYPOINT ["/usr/local/bin/correction-runner"]
