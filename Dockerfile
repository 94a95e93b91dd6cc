# One image, two programs: `docker run IMAGE p2pswarm …` and `docker run IMAGE p2pswarm-tracker …`.
#
# The base is any Debian with Python 3.11 or newer: python:3.13-slim, or what scripts/base-image makes where
# no registry is reachable. Where there is a folder wheelhouse/ (scripts/wheelhouse makes it) the build needs
# no network at all. docs/containers.md has both ways.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 \
    SOURCE_DATE_EPOCH=1735689600
WORKDIR /build
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/p2pswarm
# A COPY may name a folder that is missing only beside files that are there, hence all in one.
COPY requirements.lock scripts/build.lock wheelhouse* ./locked/
RUN if ls locked/*.whl >/dev/null 2>&1; then \
        export PIP_NO_INDEX=1 PIP_FIND_LINKS=/build/locked; \
    fi \
    && tools/bin/pip install --quiet --require-hashes -r locked/build.lock \
    && tools/bin/pip --python /opt/p2pswarm/bin/python install --quiet \
        --require-hashes --only-binary :all: -r locked/requirements.lock
COPY pyproject.toml README.md LICENSE ./source/
COPY p2pswarm ./source/p2pswarm
COPY tracker ./source/tracker
# Bytecode is made once, here, and is never looked at again: the file system may be read-only.
RUN tools/bin/pip wheel --quiet --no-deps --no-index --no-build-isolation -w dist ./source \
    && tools/bin/pip --python /opt/p2pswarm/bin/python install --quiet --no-deps --no-index dist/*.whl \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/p2pswarm/lib

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="p2pswarm" \
      org.opencontainers.image.description="A BitTorrent node and a tracker" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT"
# Tiger trees need libgcrypt and calls need libopus, which bases by scripts/base-image have and others may lack. Where
# nobody can be asked for them the image does without: files are verified by their other hashes then, and nobody talks.
RUN missing=; \
    ldconfig -p | grep -q 'libgcrypt\.so\.20' || missing="$missing libgcrypt20"; \
    ldconfig -p | grep -q 'libopus\.so\.0' || missing="$missing libopus0"; \
    if [ -n "$missing" ]; then \
        { apt-get -qq -o Acquire::Retries=0 -o Acquire::http::Timeout=10 update \
            && apt-get -qq install -y --no-install-recommends $missing; } \
        || echo "NOTE: this image has no$missing, so no tiger trees or no voice" >&2; \
        rm -rf /var/lib/apt/lists/*; \
    fi
# Any --user may write into the folders, as into /tmp; a named volume begins with their mode and owner.
RUN useradd --uid 1000 --user-group --no-create-home --home-dir /config --shell /usr/sbin/nologin p2pswarm \
    && install -d -o 1000 -g 1000 -m 1777 /config /downloads /torrents
COPY --from=build /opt/p2pswarm /opt/p2pswarm
ENV PATH=/opt/p2pswarm/bin:$PATH \
    HOME=/config XDG_CONFIG_HOME=/config XDG_DATA_HOME=/config \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 1000:1000
WORKDIR /downloads
EXPOSE 46881/tcp 46881/udp 6969/tcp 6969/udp 8888/tcp
HEALTHCHECK --interval=30s --timeout=10s --start-period=1m CMD ["p2pswarm", "health"]
CMD ["p2pswarm", "--help"]
