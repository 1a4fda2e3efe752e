"""Coverage-guided fuzzing of request parsing and photo decoding (Atheris, libFuzzer)."""
