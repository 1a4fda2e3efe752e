"""The server under bad conditions: each trial starts it as a process of its own, mistreats it, and says what became of whom."""
