"""A public address for the local server: ngrok's agent run through pyngrok, watched, opened again, and never outliving the server."""
