"""Files of other products, read into our words."""
