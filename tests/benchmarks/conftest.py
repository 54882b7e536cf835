"""The scripts import each other by their bare names, as Python does where one of them is run."""

import sys

from places import ROOT

sys.path.append(str(ROOT / "benchmarks"))
