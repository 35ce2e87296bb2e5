"""A first configuration, proposed from what stands in a manifest repository. Pure but for ``land``."""
