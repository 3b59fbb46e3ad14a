# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /cin
# The libraries by themselves first: they change less often than the program, and come from the cache then.
COPY pyproject.toml README.md ./
COPY app/__init__.py app/__init__.py
COPY alembic alembic
RUN /cin/bin/pip install --no-cache-dir .
COPY app app
RUN /cin/bin/pip install --no-cache-dir --no-deps --force-reinstall .

FROM python:3.11-slim
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin cin \
    && install -d -o cin -g cin /data
COPY --from=build /cin /cin
ENV PATH=/cin/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CIN_DATABASE_URL=sqlite:////data/cin.db \
    CIN_INDEX_FOLDER=/data/index \
    CIN_HOST=0.0.0.0
USER cin
WORKDIR /data
VOLUME /data
EXPOSE 8005
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os; from urllib.request import urlopen; urlopen(f\"http://127.0.0.1:{os.environ.get('CIN_PORT', '8005')}/healthz\", timeout=2)"]
# In exec form, so that SIGTERM comes to the program and it drains.
CMD ["cin", "serve"]
