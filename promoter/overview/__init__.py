"""What runs where, and how two environments differ: read, compared, and told."""
