"""A read model of the public topics: what the optimizer said, kept where it can be asked. Never written by a caller."""
