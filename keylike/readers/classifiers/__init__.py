"""What tells which class a photo belongs to: the embedded caliper for families of keys, or any ONNX network with labels."""
