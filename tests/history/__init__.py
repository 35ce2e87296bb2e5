"""History, read back from generated repositories."""
