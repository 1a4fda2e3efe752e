"""Server as in the older guide, an earlier tutorial for a key reading server.

It uses Flask's development server with one thread per request, and decodes photos at full size.
"""

from __future__ import annotations

import sys

import numpy as np
from flask import Flask, Response, jsonify, request
from PIL import Image, ImageOps

from keylike.images.photo import Photo
from tools.benchmarks.serving.peers.work import load_reader, read

app = Flask(__name__)
_reader = load_reader()


@app.post("/predict")
def predict() -> Response:
    """Return the reading of a photo."""
    picture = ImageOps.exif_transpose(Image.open(request.files["image"].stream)).convert("RGB")
    size = picture.size
    picture.thumbnail((2048, 2048))
    return jsonify(read(_reader, Photo(np.asarray(picture), size, "JPEG", picture.width / size[0])))


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
