"""Where a plan goes: onto the base by a push, or into a pull request that converges."""
