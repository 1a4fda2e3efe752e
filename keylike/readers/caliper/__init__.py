"""The embedded reader: three small networks measure the blade, arithmetic decodes the code."""
