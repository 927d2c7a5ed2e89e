"""``python -m fermentome``."""

import sys

from fermentome.cli import main

sys.exit(main())
