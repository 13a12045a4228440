"""Run the command line: `python -m inpaint PICTURE MASK "PROMPT" -o OUT.png`."""

import signal
import sys


def main() -> int:
    """Run the command and return its exit status; Ctrl-C and SIGTERM are handled at any time."""
    try:
        for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.default_int_handler)
        from .cli.main import main

        return main()
    except KeyboardInterrupt:  # while modules are still being read
        print("inpaint: Stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
