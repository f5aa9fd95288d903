"""Known answers of contracts, product files and the guard."""

import json
from pathlib import Path

VECTORS = json.loads((Path(__file__).parent / "golden/datasets.json").read_text())
