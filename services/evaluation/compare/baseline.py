"""A model to set the fleet beside: a generator that answers from passages put into its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict

from slmfleet.models.fleet.knowledge import Passage

#: What a generator is to say where the policy answers nothing.
REFUSAL = "Sorry, I can't help with that."
#: Tokens of prompt and answer together that a model in this process is given room for.
CONTEXT_TOKENS = 4_096


class Message(TypedDict):
    """A turn of a chat, as OpenAI's interface has it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a generator wrote, and how many tokens it read and wrote (None: not told)."""

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None


class Baseline(Protocol):
    """A generator that is asked one question at a time, greedily."""

    #: How it is called in a table.
    name: str
    #: None where nobody tells.
    parameters: int | None
    #: Whether it computes in this process, so that its CPU time and memory can be measured.
    in_process: bool
    #: Whether a question is sent to another machine.
    leaves_machine: bool

    def answer(self, messages: Sequence[Message], max_tokens: int) -> Reply:
        """The likeliest continuation of `messages`. Raises BaselineFault."""
        ...

    def close(self) -> None:
        """Give back what it holds; it is not asked again."""
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
