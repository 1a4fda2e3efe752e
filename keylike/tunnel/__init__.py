"""A public address for the local server, through a supervised ngrok agent."""
