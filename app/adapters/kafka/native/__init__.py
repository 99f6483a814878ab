"""What the lane does for every record, in C; see ``record_batches`` for what runs where it is not compiled."""
