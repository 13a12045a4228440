"""Run the command line: `python -m inpaint PICTURE MASK "PROMPT" -o OUT.png`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
