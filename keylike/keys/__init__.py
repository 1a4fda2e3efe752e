"""Facts about keys: families, codes, the size of the key space, and what a code means for its
owner.
"""
