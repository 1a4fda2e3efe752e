"""A search for inputs that the intake cannot bear, led by which of its lines they reach (Atheris, libFuzzer)."""
