# nanocheck for machines that are no Linux, or have no CUDA build of torch: no GPU, no driver.
#
#   docker build -t nanocheck .
#   docker run --rm -v "$PWD":/work nanocheck run --gpu rtx4070 -- python train.py
#
# docs/elsewhere.md says more, and what was tried of it.
FROM debian:bookworm-slim AS wheel
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir hatchling
COPY . /src
RUN cd /src && /opt/build/bin/python -m hatchling build -t wheel -d /wheel

FROM debian:bookworm-slim
# A compiler: for the virtual GPU itself, and for what torch.compile generates.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-dev python3-venv gcc g++ libc6-dev \
    && rm -rf /var/lib/apt/lists/*
ENV VIRTUAL_ENV=/opt/nanocheck PATH=/opt/nanocheck/bin:$PATH NANOCHECK_CACHE=/var/cache/nanocheck
COPY --from=wheel /wheel /wheel
COPY docker/never-loaded.txt docker/trim.sh /docker/
# In one layer: what is removed must not stay in an earlier one.
RUN python3 -m venv /opt/nanocheck \
    && pip install --no-cache-dir --no-compile /wheel/*.whl \
    && sh /docker/trim.sh /docker/never-loaded.txt \
    && nanocheck doctor \
    && chmod -R a+rX /var/cache/nanocheck
WORKDIR /work
ENTRYPOINT ["nanocheck"]
CMD ["--help"]
