"""What stood in an environment before, and since when: read from history."""
