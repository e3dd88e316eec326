"""What `slmfleet evaluate` measured, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table

from slmfleet.services.evaluation.customers import CustomerFigures
from slmfleet.services.evaluation.figures import Figure
from slmfleet.services.evaluation.fleet import Evaluation, RouterFigures, SpecialistFigures

_CUSTOMERS = (
    "served: a right answer, sign-in or refusal at once; offered: three titles, a right one among them; "
    "misled: answered from what does not answer; gave up: sent away although the shop knows; right of "
    "answered: of the answers from policy or records, those that mislead nobody. The rest got wrong "
    "titles, or had to sign in for nothing."
)
_ROWS = (
    "right domain: of rows for a domain or a person, threshold aside; sent: of a domain's rows, those "
    "sent to a specialist; wrong dispatch: of rows sent, those that were not for it; refused: of rows out "
    "of scope, those not sent. own: written by the shop's authors; curekart, sofmattress: by real "
    "shoppers (HINT3). Passages, of rows that one answers: first: it comes first; quoted: one is clear "
    "enough to be quoted, else the first three are offered; right of quoted, among offered: where it is "
    "the right one, or one of them."
)


def render(result: Evaluation) -> list[RenderableType]:
    """Every table, with what its columns mean."""
    customers: list[RenderableType] = (
        [_customers(result.customers), "", _CUSTOMERS, ""] if result.customers else []
    )
    total = sum(result.bytes.values()) / 1e6
    sizes = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in result.bytes.items())
    return [
        *customers,
        _router(result.router),
        "",
        _specialists(result.specialists),
        "",
        _passages(result.specialists),
        "",
        _outcomes(result),
        "",
        _ROWS,
        "",
        f"Router {result.router_version}, threshold {result.threshold:.3f}, "
        f"promised wrong-dispatch rate {result.max_wrong_domain_rate:.2f} (fitted on held-out rows).",
        f"Bundles, MB: {sizes}; all {total:.1f}.",
        f"Decisions: sha256 {result.decisions_sha256[:16]}",
    ]


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=f"{title}: percent [95 % interval] rows", box=None, padding=(0, 1, 0, 0))
    for head in heads:
        table.add_column(head, justify="left")
    for row in rows:
        table.add_row(*row)
    return table


def _percent(figure: Figure) -> str:
    return "-" if figure.percent is None else f"{figure.percent:.1f}"


def _customers(figures: Sequence[CustomerFigures]) -> Table:
    heads = ("style", "kind", "served", "offered", "misled", "gave up", "right of answered")
    rows = (
        (
            it.style,
            it.kind,
            str(it.served),
            *map(_percent, (it.offered, it.misled, it.gave_up, it.answered_right)),
        )
        for it in figures
    )
    return _table("What customers get", heads, rows)


def _router(figures: Sequence[RouterFigures]) -> Table:
    heads = ("source", "right domain", "sent", "wrong dispatch", "refused")
    rows = (
        (_short(it.source), str(it.right_domain), _percent(it.sent), str(it.wrong_dispatch),
         str(it.refused_out_of_scope))
        for it in figures
    )  # fmt: skip
    return _table("Router", heads, rows)


def _specialists(figures: Sequence[SpecialistFigures]) -> Table:
    rows = (
        (
            it.domain,
            _short(it.source),
            str(it.intent),
            "-" if it.slot_f1 is None else f"{100 * it.slot_f1:.1f}",
        )
        for it in figures
    )
    return _table("Specialists", ("domain", "source", "intent", "slot F1"), rows)


def _passages(figures: Sequence[SpecialistFigures]) -> Table:
    rows = (
        (it.domain, *map(str, (it.passage, it.passage_said, it.right_of_said, it.right_among_offered)))
        for it in figures
        if it.passage.total
    )
    return _table("Passages", ("domain", "first", "quoted", "right of quoted", "among offered"), rows)


def _short(source: str) -> str:
    return source.removeprefix("hint3/")


def _outcomes(result: Evaluation) -> str:
    counts, outside = result.reach, result.offered_out_of_scope
    return (
        f"Of {counts.total} questions that a passage answers, router and specialists together answer "
        f"{counts.answered_right} from it and {counts.answered_wrong} from another one, offer three with it "
        f"to {counts.offered_right} and three without it to {counts.offered_wrong}, and leave "
        f"{counts.not_answered} to a person. Of {outside.total} out of scope "
        f"{outside.hits} are offered three."
    )
