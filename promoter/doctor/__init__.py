"""What will not work and why, without changing anything: ``promoter doctor``."""
