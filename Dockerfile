# trueup with all its venues, as a user without rights: docker build -t trueup .
FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/trueup \
 && /opt/trueup/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[api,alerts,alpaca,ccxt]'

FROM python:3.11-slim
COPY --from=build /opt/trueup /opt/trueup
RUN useradd --system --uid 10001 --user-group --no-create-home trueup
ENV PATH=/opt/trueup/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TRUEUP_CONFIG=/etc/trueup/trueup.toml TRUEUP_LOG_FORMAT=json
USER 10001:10001
EXPOSE 8787
ENTRYPOINT ["trueup"]
CMD ["worker"]
