"""Outcomes rendered: one module per form."""
