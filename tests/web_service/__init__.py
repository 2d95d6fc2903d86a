"""The example service under test; `web_service` is imported from the folder of the examples."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "examples"))
