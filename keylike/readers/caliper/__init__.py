"""The embedded reader: three small networks measure the blade, arithmetic turns millimetres into codes."""
