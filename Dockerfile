# For work pools of type docker and kubernetes: docker build -t potstill .
FROM python:3.11-slim
WORKDIR /potstill
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt --editable '.[postgres]'
ENV DO_NOT_TRACK=1 HF_HUB_DISABLE_TELEMETRY=1 PREFECT_SERVER_ANALYTICS_ENABLED=false
