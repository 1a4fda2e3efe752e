"""Coverage-guided fuzzing of request parsing and photo decoding, with Atheris and libFuzzer."""
