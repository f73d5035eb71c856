# One image for the four tiers; compose.yaml gives each container its command.
# It must build without BuildKit too, which some engines lack.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
# requirements/postgres.txt for stores on PostgreSQL.
ARG REQUIREMENTS=requirements/run.txt
COPY requirements/run.txt requirements/postgres.txt requirements/
RUN python3 -m venv --without-pip /opt/venv \
    && python3 -m pip --python /opt/venv install --quiet --no-cache-dir --require-hashes -r ${REQUIREMENTS}
# .dockerignore admits only the code that runs. Any user may read it and none may write it, whatever its modes were.
COPY . .
RUN chmod -R a+rX,go-w . && /opt/venv/bin/python -m compileall -q .

FROM ${BASE_IMAGE}
# The official images lack the standard library's bytecode, and a read-only container cannot write it: without this
# step each health check would compile it again. Modules that do not compile are not ours, hence `|| true`.
RUN python3 -m compileall -q -x site-packages "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" || true
# A new named volume inherits the owner and the mode of the folder that it covers.
RUN install -d -o 10001 -g 10001 -m 0700 /data /owner /catalog /backups
# Where the order tier finds both databases for audits and backups: its own, and the catalog's in the volume /catalog.
RUN mkdir /books && ln -s /catalog/catalog.db /data/order.db /books/
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/data
USER 10001:10001
# A container without a command prints the settings.
CMD ["python", "-m", "conf.settings"]
