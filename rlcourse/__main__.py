"""`python -m rlcourse` is the same as the command `rlcourse`."""

import sys

from rlcourse.cli import main

sys.exit(main())
