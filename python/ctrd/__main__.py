# SPDX-License-Identifier: Apache-2.0
"""`ctrd` and `python -m ctrd`: the command line, which wants the extra "cli"."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from ._cli import cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("ctrd: the command line needs more packages: pip install 'ctrd[cli]'")
    cli.main(prog_name="ctrd")


if __name__ == "__main__":
    main()
