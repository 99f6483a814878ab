"""What the evidence shows beside the choice of an arm: anomalies, drift, cost, quality, performance."""
