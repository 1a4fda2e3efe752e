"""The bench on which the real server is killed, starved and confused."""
