"""A model to compare the fleet with: a generator that answers from passages in its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict

from slmfleet.models.fleet.knowledge import Passage

#: What a generator should reply where the policy does not answer.
REFUSAL = "Sorry, I can't help with that."
#: Context of a model in this process, in tokens: prompt and answer together.
CONTEXT_TOKENS = 4_096


class Message(TypedDict):
    """A turn of a chat, in the shape of OpenAI's interface."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a generator wrote, and how many tokens it read and wrote (None: not reported)."""

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None


class Baseline(Protocol):
    """A generator that answers one question at a time, by greedy decoding."""

    #: Its name in a table.
    name: str
    #: None where not known.
    parameters: int | None
    #: Whether it computes in this process, so that its CPU time and memory can be measured.
    in_process: bool
    #: Whether a question is sent to another machine.
    leaves_machine: bool

    def answer(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """The likeliest continuation of `messages`. Raises BaselineFault."""
        ...

    def close(self) -> None:
        """Release its resources."""
        ...


def prompt(retailer: str, passages: Sequence[Passage], question: str) -> list[Message]:
    """The messages of a question with the passages that may answer it."""
    policy = "\n\n".join(f"{passage.title}: {passage.text}" for passage in passages)
    return [
        {
            "role": "system",
            "content": (
                f"You answer customers of {retailer}, a shop. Answer the question only from the policy that "
                "is given, in one to three sentences, with its exact numbers and conditions. If the policy "
                f"does not answer the question, reply only: {REFUSAL}"
            ),
        },
        {"role": "user", "content": f"Policy:\n\n{policy}\n\nQuestion: {question}"},
    ]
