"""`make bench`: our worker and its peers side by side, and what our worker costs; figures, verdicts, a picture."""
