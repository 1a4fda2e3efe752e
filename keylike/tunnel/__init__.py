"""A public address for the local server, through an ngrok agent that is started and monitored."""
