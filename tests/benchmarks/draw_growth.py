"""The plot of growth.py, by the Python that has matplotlib: ``draw_growth.py POINTS PICTURE``."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt  # after the choice of a backend without a screen

points = json.loads(Path(sys.argv[1]).read_text())
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
for axes, part in ((left, points["active"]), (right, points["inactive"])):
    axes.plot([p[0] for p in part["points"]], [p[1] for p in part["points"]], "o-")
    axes.set_title(part["title"], fontsize=10)
    axes.set_xlabel(part["label"])
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
left.set_ylabel("seconds, process start to exit")
left.set_ylim(bottom=0)
figure.tight_layout()
figure.savefig(sys.argv[2], dpi=120)
