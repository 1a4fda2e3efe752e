# The server and the embedded reader, on the CPU; not as root.
FROM python:3.13-slim
WORKDIR /keylike
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . .
RUN useradd --system keylike && mkdir -p logs && chown keylike logs
USER keylike
ENV KEYLIKE_HOST=0.0.0.0 PYTHONUNBUFFERED=1
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health/ready', timeout=4)"]
CMD ["python", "app.py"]
