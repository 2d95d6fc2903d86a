"""``python -m qrlifecycle``: the command line, by its other name."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
