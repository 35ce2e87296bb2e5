"""Moves container images through environments in a GitOps manifest repository."""

__version__ = "1.0.0.dev0"
