"""Draws the dashboard's main panels from a running Prometheus, without a Grafana.

    python deploy/grafana/plot.py http://127.0.0.1:9090 15 docs/live.png     # the last 15 minutes

Needs matplotlib (the extra `train`).
"""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path

import matplotlib as mpl
import matplotlib.dates

mpl.use("Agg")
from matplotlib import pyplot as plt

FOLDER = Path(__file__).parent
SHOWN = (
    "Answers by domain",
    "Latency",
    "Latency by stage",
    "Router: what it decides",
    "CPU an answer, by domain",
    "Cores in use, by stage",
)
#: Unit of a panel -> what a value is multiplied by, and how its axis is called.
AXES = {"s": (1e3, "ms"), "reqps": (1, "a second"), "percentunit": (100, "%"), "none": (1, "cores")}
Points = list[tuple[datetime, float]]


def series(prometheus: str, expression: str, minutes: float) -> list[tuple[dict[str, str], Points]]:
    """(labels, points) of each series of a PromQL expression over the last `minutes`."""
    end = time.time()
    parameters = {
        "query": expression.replace("$__rate_interval", "1m"),
        "start": str(end - minutes * 60),
        "end": str(end),
        "step": str(max(1.0, minutes * 60 / 300)),
    }
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - an address the caller typed
        found = json.load(answer)["data"]["result"]
    return [
        (each["metric"], [(datetime.fromtimestamp(at), float(value)) for at, value in each["values"]])
        for each in found
    ]


def draw(prometheus: str, minutes: float, file: Path) -> None:
    """Write the picture to `file`."""
    board = json.loads((FOLDER / "slmfleet.json").read_text(encoding="utf-8"))
    panels = {panel["title"]: panel for panel in board["panels"]}
    figure, places = plt.subplots(3, 2, figsize=(11, 9.5), layout="constrained")
    for axes, title in zip(places.flat, SHOWN, strict=True):
        panel = panels[title]
        factor, unit = AXES[panel["fieldConfig"]["defaults"]["unit"]]
        for target in panel["targets"]:
            for labels, points in series(prometheus, target["expr"], minutes):
                legend = target["legendFormat"]
                for name, value in labels.items():
                    legend = legend.replace(f"{{{{{name}}}}}", value)
                style = "--" if "configured" in legend or legend == "processes" else "-"
                times, values = zip(*points, strict=True)
                axes.plot(times, [value * factor for value in values], style, label=legend, linewidth=1.3)
        if any("configured" in text for text in axes.get_legend_handles_labels()[1]):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_ylabel(unit)
        axes.xaxis.set_major_formatter(mpl.dates.DateFormatter("%H:%M"))
        axes.grid(alpha=0.25)
        axes.legend(fontsize=7, loc="upper left", ncols=2)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    draw(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
