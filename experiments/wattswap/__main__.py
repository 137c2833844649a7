"""``python -m wattswap`` is ``wattswap``."""

from wattswap.cli import main

if __name__ == "__main__":
    main()
