"""What a change must respect besides its guardrails: limits, policies, and the answer of a remote policy service."""
