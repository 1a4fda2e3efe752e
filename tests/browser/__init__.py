"""Tests of the web page in Chromium, with the real server and the embedded reader."""
