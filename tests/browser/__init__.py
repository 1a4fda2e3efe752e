"""The page in a real Chromium, before the real server with the embedded reader."""
