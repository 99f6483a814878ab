"""Operating-system processes: a supervisor, its children, and the HTTP endpoints that say how they are."""
