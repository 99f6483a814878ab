"""Decision statistics: one rule a file, each naming its paper and its units."""
