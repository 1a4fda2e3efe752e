"""LitServe: decoding and reading in worker processes, one a core."""

# Annotations must not be postponed here: LitServe looks for Request itself in the signature of decode_request, and otherwise tries to
# send the whole request to the worker.
import sys
from typing import Any

import litserve
from fastapi import Request

from keylike.images.photo import Photo
from tools.benchmarks.serving.peers.work import CORES, load, open_photo, read


class Keys(litserve.LitAPI):
    """The three steps of a request."""

    def setup(self, device: str) -> None:
        """Once in each worker."""
        self.reader = load()

    def decode_request(self, request: Request) -> Photo:
        """From the form's file to a photo."""
        return open_photo(request["image"].file.read())

    def predict(self, photo: Photo) -> dict[str, Any]:
        """Reads the key."""
        return read(self.reader, photo)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Ready for JSON as it is."""
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
