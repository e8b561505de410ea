"""What runs need of GitHub, and what they cost. Started from a plain checkout: nothing has to be installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "src"))
