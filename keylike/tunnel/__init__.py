"""A public address for the local server, through an ngrok agent that is supervised and restarted."""
