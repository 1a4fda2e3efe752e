"""FastAPI application whose view is not async, so FastAPI runs it in its thread pool."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, UploadFile

from tools.benchmarks.serving.peers.work import load_reader, open_photo, read

app = FastAPI()
_reader = load_reader()


@app.post("/predict")
def predict(image: UploadFile) -> dict[str, Any]:
    """Return the reading of a photo."""
    return read(_reader, open_photo(image.file.read()))
