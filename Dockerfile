# The page on a CPU:   docker build -t inpaint . && docker run -p 7860:7860 inpaint
# With an NVIDIA GPU:  docker build -t inpaint-cuda --build-arg TORCH=cu130 . && docker run --gpus all -p 7860:7860 inpaint-cuda
# Models from the Hub stay in a volume:  -v inpaint-models:/home/painter/.cache
FROM python:3.12-slim

ARG TORCH=cpu
RUN useradd --create-home painter
WORKDIR /app

COPY requirements.txt ./
RUN pip install --no-cache-dir "$(grep -o '^torch==[0-9.]*' requirements.txt)" \
        --index-url "https://download.pytorch.org/whl/${TORCH}" \
    && pip install --no-cache-dir -r requirements.txt

COPY . .
RUN pip install --no-cache-dir --no-deps .

USER painter
WORKDIR /home/painter
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:7860', timeout=5)"
ENTRYPOINT ["inpaint-page", "--host", "0.0.0.0", "--port", "7860"]
