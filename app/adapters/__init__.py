"""Everything that touches the world, each part behind a Protocol of ``app.core.ports``."""
