"""Classifiers of photos: the embedded caliper for key families, or any ONNX network with labels."""
