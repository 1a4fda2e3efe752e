"""FastAPI: a plain function, which it runs in its pool of threads."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, UploadFile

from tools.benchmarks.serving.peers.work import load, open_photo, read

app = FastAPI()
_reader = load()


@app.post("/predict")
def predict(image: UploadFile) -> dict[str, Any]:
    """Reads the key in a photo."""
    return read(_reader, open_photo(image.file.read()))
