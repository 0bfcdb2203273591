"""``python -m pipelines`` is ``potstill``."""

import sys

from pipelines.cli import main

sys.exit(main())
