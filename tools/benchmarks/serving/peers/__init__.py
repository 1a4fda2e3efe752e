"""The others, each as its own documents show it, around the same decoding and the same reader."""
