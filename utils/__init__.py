"""Helper modules, under names of the older guide.

The older guide is an earlier tutorial for a Keylike server. These modules keep its function names,
so that code written for it still runs.
"""
