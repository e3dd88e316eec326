"""Tables that deploy/docs.py writes, from the JSON that commands of slmfleet print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_ACCURACY = """# Accuracy

Rows that no model was trained on, in percent [95 % interval] of rows. Thresholds are fitted on held-out
training rows, never on these. Measured at {measured_on}.

`own` rows were written by the authors of the demonstration shop, in other words than the training rows.
`curekart` and `sofmattress` rows were written by real customers of two other shops (HINT3 v2);
`powerplay11` is the support desk of a game, all out of scope here. `bitext`, `banking77` and `clinc150`
are published data sets.

Router `{version}`, threshold {threshold}, fitted so that of the held-out rows sent to a specialist at most
{promised} % belong elsewhere.

## What a customer gets

Questions in customers' own words, written by people who had seen neither training nor test rows
(`models/shop/customers`); answered by the whole pipeline, nobody signed in.

{customers}
- served: a right answer, sign-in or refusal at once
- offered: three titles to choose from, a right one among them
- misled: answered from something that does not answer
- gave up: sent to a person, or refused, although the shop knows
- right of answered: of the answers from policy or records, those that mislead nobody

{reach}
## Router

{routing}
- right domain: rows of a domain or for a person, by the most likely label, whatever its confidence
- sent: rows of a domain that are sent to a specialist
- wrong dispatch: of the rows sent, those that belong elsewhere
- refused: of the rows out of scope, those not sent to a specialist

## Specialists

{reading}
## Passages

{saying}
Rows that one passage answers. first: it ranks first; quoted: a passage is clear enough to be quoted,
otherwise the first three are offered; right of quoted, right among offered: it is the right one, or among
the three.

## Size

Bundles in MB: {sizes}; all {all}.
"""


def header(command: str) -> str:
    """First line of a page that is wholly generated."""
    return f"<!-- {command}; generated: do not edit -->\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    heads = list(head)
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def figure(value: Mapping[str, Any]) -> str:
    """A share in percent with its 95 % interval and the number of rows; empty where there are no rows."""
    if value["percent"] is None:
        return ""
    return f"{value['percent']:.1f} [{value['low']:.0f}-{value['high']:.0f}] of {value['total']:,}"


def accuracy_page(evaluation: Mapping[str, Any], measured_on: str) -> str:
    """docs/accuracy.md, from `slmfleet evaluate --json`."""
    routed = ("right_domain", "sent", "wrong_dispatch", "refused_out_of_scope")
    routing = [(_source(row), *(figure(row[name]) for name in routed)) for row in evaluation["router"]]
    reading = [
        (
            row["domain"],
            _source(row),
            figure(row["intent"]),
            "" if row["slot_f1"] is None else f"{100 * row['slot_f1']:.1f}",
        )
        for row in evaluation["specialists"]
        if row["intent"]["total"]
    ]
    said = ("passage", "passage_said", "right_of_said", "right_among_offered")
    saying = [
        (row["domain"], *(figure(row[name]) for name in said))
        for row in evaluation["specialists"]
        if row["passage"]["total"]
    ]
    sizes = {name: size / 1e6 for name, size in evaluation["bytes"].items()}
    return header("`slmfleet evaluate --json`, written by `make docs`") + _ACCURACY.format(
        measured_on=measured_on,
        version=evaluation["router_version"],
        threshold=f"{evaluation['threshold']:.3f}",
        promised=f"{100 * evaluation['max_wrong_domain_rate']:g}",
        customers=_customers(evaluation),
        reach=_reach(evaluation),
        routing=table(("rows", "right domain", "sent", "wrong dispatch", "refused"), routing),
        reading=table(("domain", "rows", "intent", "slot F1"), reading),
        saying=table(("domain", "first", "quoted", "right of quoted", "right among offered"), saying),
        sizes=", ".join(f"{name} {size:.1f}" for name, size in sizes.items()),
        all=f"{sum(sizes.values()):.1f}",
    )


def _source(row: Mapping[str, Any]) -> str:
    name: str = row["source"]
    return name.removeprefix("hint3/")


def _customers(evaluation: Mapping[str, Any]) -> str:
    shares = ("served", "offered", "misled", "gave_up", "answered_right")
    rows = [
        (row["style"], row["kind"], *(figure(row[name]) for name in shares))
        for row in evaluation["customers"]
    ]
    return table(("style", "kind", "served", "offered", "misled", "gave up", "right of answered"), rows)


def _reach(evaluation: Mapping[str, Any]) -> str:
    reach, outside = evaluation["reach"], evaluation["offered_out_of_scope"]
    total = sum(reach.values())
    words = {
        "answered_right": "answered from the right passage",
        "answered_wrong": "answered from another passage",
        "offered_right": "offered three passages, the right one among them",
        "offered_wrong": "offered three others",
        "not_answered": "left to a person, or refused",
    }
    rows = [(words[name], f"{count:,}", f"{100 * count / total:.1f}") for name, count in reach.items()]
    return (
        f"Router and specialists together, on {total:,} `own` questions that one passage answers:\n\n"
        + table(("outcome", "rows", "percent"), rows)
        + f"\nOf {outside['total']:,} rows out of scope, {outside['hits']:,} are offered three passages.\n"
    )


def figures_table(
    evaluation: Mapping[str, Any],
    times: Mapping[str, Any],
    benches: Mapping[tuple[str, int], Mapping[str, Any]],
) -> str:
    """README's table, from `evaluate`, `bench --models` and `bench`."""
    router = {row["source"]: row for row in evaluation["router"]}
    reach = evaluation["reach"]
    share = {name: f"{100 * count / sum(reach.values()):.0f} %" for name, count in reach.items()}
    customers = ", ".join(
        figure(router[f"hint3/{shop}"]["right_domain"]) for shop in ("curekart", "sofmattress")
    )
    one, many = benches["colocated", 1], benches["colocated", 8]
    rows = [
        *_customer_rows(evaluation),
        (
            f"Test questions worded unlike the training rows ({sum(reach.values()):,})",
            f"answered from the right passage {share['answered_right']}, "
            f"from another {share['answered_wrong']}",
        ),
        ("Customers of two other shops (HINT3): right domain, %", customers),
        ("Out of scope: not sent to a specialist, %", figure(router["all"]["refused_out_of_scope"])),
        ("Router and specialist: CPU time a question, median", f"{times['both']['cpu_p50_ms']:.1f} ms"),
        (
            "Over HTTP, colocated, 1 connection: median / p99; 8: throughput",
            f"{one['p50_ms']:.1f} / {one['p99_ms']:.1f} ms; {many['queries_per_s']:.0f} queries/s",
        ),
        ("The seven models on disk", f"{sum(evaluation['bytes'].values()) / 1e6:.1f} MB"),
    ]
    return table(("what", "figure [95 % interval] of rows"), rows)


def _customer_rows(evaluation: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for row in evaluation["customers"]:
        if row["kind"] == "all":
            rest = ", ".join(
                f"{word} {row[name]['percent']:.0f}"
                for word, name in (("offered", "offered"), ("misled", "misled"), ("given up", "gave_up"))
            )
            right = row["answered_right"]["percent"]
            cell = f"served at once {figure(row['served'])}; {rest}; right of `answered` {right:.0f}"
            rows.append((f"Customers' questions in their own words, {row['style']}, %", cell))
    return rows


def performance_table(benches: Mapping[tuple[str, int], Mapping[str, Any]]) -> str:
    """The table of docs/placement-and-performance.md, from `bench`."""
    rows = [
        (
            placement,
            str(connections),
            f"{found['queries']:,}",
            f"{found['p50_ms']:.1f}",
            f"{found['p99_ms']:.1f}",
            f"{found['queries_per_s']:.1f}",
            f"{found['model_cpu_ms']:.1f}",
            str(found["from_cache"]),
        )
        for (placement, connections), found in benches.items()
    ]
    head = (
        "placement",
        "connections",
        "queries",
        "p50 ms",
        "p99 ms",
        "queries/s",
        "CPU ms, median",
        "cached",
    )
    return table(head, rows)


def models_table(times: Mapping[str, Mapping[str, Any]]) -> str:
    """Milliseconds of the models alone, from `bench --models`."""
    rows = [
        (
            name,
            f"{took['texts']:,}",
            f"{took['p50_ms']:.1f}",
            f"{took['p99_ms']:.1f}",
            f"{took['cpu_p50_ms']:.1f}",
        )
        for name, took in times.items()
    ]
    return table(("model", "texts", "p50 ms", "p99 ms", "CPU ms, median"), rows)


def published_table(folder: Path) -> str:
    """Ours beside the best published figure, from `results.json` of each suite in `folder`.

    Of each task the metrics for which others are known, or its first metric.
    """
    rows = []
    for path in sorted(folder.glob("*/results.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        for task in result["tasks"]:
            others: dict[str, list[tuple[float, str]]] = {}
            for each in task["published"]:
                if each["kind"] == "published":
                    others.setdefault(each["metric"], []).append((each["value"], each["system"]))
            for metric in [name for name in task["metrics"] if name in others] or [
                next(iter(task["metrics"]))
            ]:
                ours = task["metrics"][metric]
                best = max(others.get(metric, []), default=None)
                rows.append(
                    (
                        f"{result['suite']} {task['name']}",
                        metric,
                        f"{ours['mean']:.1f} [{ours['low']:.1f}-{ours['high']:.1f}]",
                        "" if best is None else f"{best[0]:.1f} ({best[1]})",
                    )
                )
    return table(("task", "metric", "ours, percent [95 %]", "best published"), rows)
