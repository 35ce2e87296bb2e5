"""Moves container images through environments in a GitOps manifest repository."""

__version__ = "0.1.0"
