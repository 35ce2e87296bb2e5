"""``python -m promoter`` and the console script."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line."""
    # A run is short and makes few cycles: collecting them in between costs more than it frees.
    gc.set_threshold(50_000)
    from promoter.cli import main as run

    run()


if __name__ == "__main__":
    main()
