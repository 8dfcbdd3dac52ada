"""A framework of two modules."""
