"""The untrusted end of the boundary: one process that runs one exercise of one submission.

Rule 1: it imports the standard library and msgspec only, and its own modules by relative names.
Rule 2: it judges nothing and knows no expected value.
"""
