"""Answers and explanations for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from slmfleet.models.contracts import Answer, Explanation, Explanations, WordWeight

#: How many words are listed with their weights, heaviest first.
_LISTED_WORDS = 5
#: Background by the share of the heaviest word's weight: for the decision, and against it.
_FOR = ("on dark_green", "on green4", "on green3")
_AGAINST = ("on dark_red", "on red3", "on red1")


def render_answer(answer: Answer) -> Group:
    """The answer for a terminal: its text, the evidence of each part, the router's decision and the cost."""
    lines: list[Text | Padding] = [Text(answer.text, style="bold"), Text("")]
    for part in answer.parts:
        sure = f"{part.domain}.{part.intent}, confidence {part.confidence:.2f}"
        slots = ", ".join(f"{slot.name}={slot.value}" for slot in part.slots)
        lines.append(Text(f"{part.status}: {sure}{'; ' + slots if slots else ''}"))
        lines += [Padding(Text(f"{one.kind} {one.ref}", style="dim"), (0, 0, 0, 2)) for one in part.evidence]
    route = answer.route
    if not answer.parts:
        lines.append(Text(f"{answer.status}"))
    lines.append(
        Text(
            f"router: {route.domain} {route.confidence:.2f} (threshold {route.threshold:.2f}; then "
            f"{route.runner_up.domain} {route.runner_up.confidence:.2f})",
            style="dim",
        )
    )
    cost = answer.cost
    lines.append(
        Text(
            f"{cost.latency_ms:.1f} ms, {cost.cpu_ms:.1f} ms of CPU, {cost.energy_mj:.0f} mJ "
            f"({cost.energy_source})",
            style="dim",
        )
    )
    return Group(*lines)


def render_explanations(explanations: Explanations) -> Group:
    """The explanation for a terminal: one block for the router, one for each specialist."""
    blocks = _block("router", explanations.route)
    for part in explanations.parts:
        blocks += [Text(""), *_block(part.domain, part)]
    return Group(*blocks)


def _block(model: str, one: Explanation) -> list[Text | Padding]:
    stands = "" if one.confidence >= one.threshold else ", below it: not sure enough alone"
    lines = [
        f"decision  {one.label} {one.confidence:.2f}"
        + (f" (threshold {one.threshold:.2f}{stands})" if one.threshold else ""),
        f"runner-up {one.runner_up.label} {one.runner_up.confidence:.2f}",
    ]
    heaviest = sorted(one.words, key=lambda word: -abs(word.weight))[:_LISTED_WORDS]
    if heaviest:
        lines.append("words     " + ", ".join(f"{it.word} {it.weight:+.2f}" for it in heaviest))
    if one.flip is None:
        lines.append("flip      nothing short flips it")
    else:
        words = ", ".join(f'"{word}"' for word in one.flip.removed)
        lines.append(f"flip      without {words}: {one.flip.becomes} {one.flip.confidence:.2f}")
    lines += [f'{"nearest" if not place else "":9} {it.similarity:.2f} {it.label}: "{it.text}"'
              for place, it in enumerate(one.nearest)]  # fmt: skip
    return [
        Text(model, style="bold"),
        Padding(highlight(one.text, one.words), (0, 0, 0, 2)),
        *(Padding(Text(line), (0, 0, 0, 2)) for line in lines),
    ]


def highlight(text: str, words: Sequence[WordWeight]) -> Text:
    """`text` with a background for each word by its weight: green for the decision, red against it."""
    highlighted = Text(text)
    most = max((abs(word.weight) for word in words), default=0.0)
    for word in words:
        share = abs(word.weight) / most if most else 0.0
        if share >= 0.1:  # below that it is noise, and a sentence all in colour shows nothing
            shades = _FOR if word.weight > 0 else _AGAINST
            highlighted.stylize(shades[min(2, int(share * 3))], word.start, word.end)
    return highlighted
