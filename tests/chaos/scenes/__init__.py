"""The scenarios, a file for each kind of thing that goes wrong."""
