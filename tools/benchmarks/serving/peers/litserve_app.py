"""LitServe server that decodes and reads in worker processes, one per core."""

# Do not add `from __future__ import annotations` to this module: LitServe must find the class
# Request in the signature of decode_request. Otherwise it sends the whole request to the worker.
import sys
from typing import Any

import litserve
from fastapi import Request

from keylike.images.photo import Photo
from tools.benchmarks.serving.peers.work import CORES, load_reader, open_photo, read


class Keys(litserve.LitAPI):
    """The three steps of a request: decode the photo, read it, and encode the response."""

    def setup(self, device: str) -> None:
        """Load the reader, once per worker."""
        self.reader = load_reader()

    def decode_request(self, request: Request) -> Photo:
        """Decode the uploaded file into a photo."""
        return open_photo(request["image"].file.read())

    def predict(self, photo: Photo) -> dict[str, Any]:
        """Return the reading of a photo."""
        return read(self.reader, photo)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Return the output unchanged, because LitServe can encode it as JSON."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Keys(), accelerator="cpu", workers_per_device=CORES, timeout=100)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=CORES,
        generate_client_file=False,
        log_level="warning",
    )
