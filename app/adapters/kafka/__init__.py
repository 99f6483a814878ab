"""Kafka: the batch lane under Faust, commits with a fence, changelogs, and an embedded mock cluster."""
