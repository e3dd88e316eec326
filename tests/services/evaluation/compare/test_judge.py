from __future__ import annotations

import pytest

from slmfleet.models.fleet.loading import load_fleet
from slmfleet.services.evaluation.compare.judge import Judge, visible
from slmfleet.services.settings import SHOP_DIR

FLEET = load_fleet(SHOP_DIR)
PASSAGES = [passage for domain in FLEET.domains.values() for passage in domain.passages]
JUDGE = Judge(PASSAGES)
WINDOW = FLEET.domains["returns"].passage_by_id["how-long-you-have-to-return-something"]
QUESTION = "until when can I send the kettle back?"


def judged(answer: str, evidence: str = WINDOW.text):  # type: ignore[no-untyped-def]
    return JUDGE.verdict(QUESTION, answer, WINDOW, [evidence])


@pytest.mark.parametrize(
    "answer",
    [
        WINDOW.text,
        "Most items can be returned within 30 days from the day of their delivery.",
        "You have 30 days, counted from the day on which most items were delivered, to return it.",
        "<think>Was it 14 days? No.</think>You can return most items within 30 days from delivery.",
        "1. You can return most items within 30 days.\n2. The 30 days start when they were delivered.",
    ],
)
def test_an_answer_in_other_words_is_right_when_it_carries_the_facts(answer: str) -> None:
    verdict = judged(answer)
    assert (verdict.refused, verdict.right, verdict.grounded, verdict.invented) == (False, True, True, ())


@pytest.mark.parametrize(
    ("answer", "invented"),
    [
        ("You can return most items within 14 days from the day they were delivered.", ("14",)),
        ("You can return most items from the day they were delivered.", ()),
        ("Yes.", ()),
        ("The last day was in 1989.", ("1989",)),
    ],
)
def test_an_answer_without_the_facts_is_not_right(answer: str, invented: tuple[str, ...]) -> None:
    verdict = judged(answer)
    assert not verdict.right
    assert verdict.invented == invented
    assert verdict.grounded == (not invented)


def test_what_stands_in_no_evidence_is_not_grounded() -> None:
    said = f"{WINDOW.text} Bring it to the UPS SuperStation in New York City."
    verdict = judged(said)
    assert (verdict.right, verdict.grounded) == (True, False)


def test_a_number_of_the_question_is_not_made_up_and_its_words_are_no_facts() -> None:
    asked = "most items within 30 days from the day they were delivered, is that so?"
    echo = JUDGE.verdict(asked, "Most items within 30 days from the day they were delivered.", WINDOW, [])
    assert (echo.right, echo.invented) == (False, ())


@pytest.mark.parametrize(
    "answer",
    [
        "Sorry, I can't help with that.",
        "I’m sorry, but I can’t assist with that request.",
        "I am unable to answer this question.",
        "The policy does not mention any information about kettles.",
        "That is not covered by the policy.",
        "I don't know.",
        "",
        "  <think>hm</think>",
    ],
)
def test_the_usual_phrases_are_refusals(answer: str) -> None:
    verdict = judged(answer)
    assert verdict.refused
    assert not verdict.right


def test_no_policy_of_the_shop_is_taken_for_a_refusal_and_each_is_right_of_itself() -> None:
    for passage in PASSAGES:
        verdict = JUDGE.verdict("tell me", passage.text, passage, [passage.text])
        assert not verdict.refused, passage.text
        assert verdict.right, passage.text
        assert verdict.grounded, passage.text


def test_few_other_passages_pass_for_the_right_one() -> None:
    others = [passage for passage in FLEET.domains["returns"].passages if passage != WINDOW]
    assert 0 < JUDGE.lenience(QUESTION, WINDOW, others) < 0.1
    assert JUDGE.lenience(QUESTION, WINDOW, [WINDOW]) == 1


def test_visible_drops_thoughts_and_list_marks() -> None:
    assert visible("<think>a\nb</think>\n1. one\n- two") == "one\ntwo"
    assert visible("<think>never closed") == ""
