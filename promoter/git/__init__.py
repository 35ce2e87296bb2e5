"""Everything that runs the ``git`` program. The rest of promoter sees plain data."""
