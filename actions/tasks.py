"""What the shopper wants done and what is known of it so far: a small stack, kept in the slot `tasks`.

The top of the stack is the task whose loop is active; below it wait the ones that were put aside by a
question in between. Nothing secret is kept here: no proof, no grant. It knows no topic and no wording.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Option(BaseModel):
    """One answer of a closed question. `value` comes back when its button is pressed or its title typed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str
    value: str


class Task(BaseModel):
    """One thing to be done, on its way."""

    model_config = ConfigDict(extra="ignore")  # a tracker written by an older version must still be read

    topic: str
    writes: bool = False  # ends in a write of the order API
    asked: str | None = None  # the question on the table
    options: list[Option] = Field(default_factory=list)  # its closed answers
    misses: int = 0  # answers in a row that were not understood
    order_number: str | None = None
    order_confirmed: bool = False  # the shopper named it in this task
    proof_after: float = 0.0  # messages up to this moment have been tried as proof, in seconds
    lines: dict[str, int] = Field(default_factory=dict)  # order line id -> quantity
    reason: str | None = None
    opened: bool | None = None
    values: dict[str, Any] = Field(default_factory=dict)  # what only this topic knows
    media: list[str] = Field(default_factory=list)  # ids of pictures sent as evidence
    plan: dict[str, Any] | None = None  # on the table, waiting for a yes
    waiting: dict[str, Any] | None = None  # said beside another wish and not begun yet: what was said of it

    def forget_order(self) -> None:
        """Another order is meant: nothing that was said of the first one's items still holds."""
        self.order_number, self.order_confirmed = None, False
        self.lines, self.plan = {}, None
        self.values = {key: value for key, value in self.values.items() if key.startswith("said_")}

    def understood(self) -> None:
        self.misses = 0


def wish(
    intent: str,
    text: str,
    at: float,
    *,
    confidence: float = 1.0,
    whole: str = "",
    entities: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """What `Task.waiting` keeps of a wish: `text` says it, `whole` is the message it stood in, at `at` (seconds)."""
    return {"intent": intent, "confidence": confidence, "text": text, "whole": whole, "entities": list(entities), "at": at}  # fmt: skip


class Stack:
    """The tasks of a conversation, the one being worked on last."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self.tasks = list(tasks)

    @classmethod
    def load(cls, slot: Any) -> Stack:
        tasks = [Task.model_validate(one) for one in slot or () if isinstance(one, dict) and "topic" in one]
        return cls(tasks)

    def dump(self) -> list[dict[str, Any]]:
        return [task.model_dump(mode="json", exclude_defaults=True) for task in self.tasks]

    @property
    def top(self) -> Task | None:
        return self.tasks[-1] if self.tasks else None

    def begin(self, task: Task) -> None:
        """A new wish. It replaces the same one begun before; and one write at a time: a new one drops the old."""
        self.tasks = [
            old for old in self.tasks if old.topic != task.topic and not (old.writes and task.writes)
        ]
        self.tasks.append(task)

    def put_off(self, tasks: Sequence[Task]) -> None:
        """Wishes for after the one being worked on; the first of them comes first. Said twice counts once."""
        known = {(old.topic, old.order_number) for old in self.tasks}
        new = [task for task in tasks if (task.topic, task.order_number) not in known]
        self.tasks[-1:-1] = reversed(new)

    def drop_waiting(self) -> list[Task]:
        """Forget what was not begun, and say what that was."""
        waiting = [task for task in reversed(self.tasks) if task.waiting is not None]
        self.tasks = [task for task in self.tasks if task.waiting is None]
        return waiting

    def end(self, task: Task) -> None:
        self.tasks = [old for old in self.tasks if old is not task]
