"""REST and gRPC over the read model. The way in is ``llm.commands`` and the evidence topics; there is no other."""
