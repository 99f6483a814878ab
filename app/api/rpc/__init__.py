"""gRPC: the AutoOptimizerService of requirements/002 over the same parts as REST."""
