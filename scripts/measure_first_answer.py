"""How long a shopper waits for the answer to a free question, from the web chat's side.

    kefu up                                        in another terminal, until the generator says "ready"
    python scripts/measure_first_answer.py [--count 40] [--at-once 1] [--url http://127.0.0.1:8080]

Every question is asked by somebody new, as the first message of the conversation, so that nothing is remembered; the
articles stay as warm as they are in a shop that has been asked before. What Kefu took for a wish ("return this") is counted and not
timed: no article was read for it. Prints median, 95th percentile and slowest of answers and hand-overs together, for the machine as it is: leave
it alone meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from pathlib import Path

from bot.knowledge.evaluation import read_questions
from bot.programs import running_url
from bot.settings import PROJECT_ROOT, get_settings
from bot.web_client import WebClient

QUESTIONS = PROJECT_ROOT / "tests" / "fixtures" / "retrieval_questions.jsonl"


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default=running_url(get_settings(), "gateway"))
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--warm", type=int, default=6, help="questions asked before the clock runs")
    options = parser.parse_args()
    asked = [q for q in read_questions(options.questions) if q.answerable]
    random.Random(1).shuffle(asked)
    places = asyncio.Semaphore(options.at_once)
    waited: list[float] = []
    handed = wishes = 0

    async def ask(question: str, locale: str | None) -> None:
        nonlocal handed, wishes
        async with places, WebClient(options.url, locale=locale, timeout=120) as shopper:
            began = time.perf_counter()
            replies = await shopper.say(question)
            seconds = time.perf_counter() - began
        if shopper.owner != "bot":
            handed += 1
        elif not any(reply.citations for reply in replies):
            wishes += 1
            return
        waited.append(seconds)

    for one in asked[: options.warm]:
        await ask(one.question, one.language)
    waited.clear()
    handed = wishes = 0
    await asyncio.gather(*(ask(q.question, q.language) for q in asked[options.warm :][: options.count]))
    if not waited:
        print("No article was read for any of these questions.")
        return
    ordered = sorted(waited)
    found = {
        "questions": len(ordered),
        "at_once": options.at_once,
        "median_seconds": round(statistics.median(ordered), 2),
        "p95_seconds": round(ordered[max(0, round(0.95 * len(ordered)) - 1)], 2),
        "slowest_seconds": round(ordered[-1], 2),
        "given_to_a_person": handed,
        "taken_for_a_wish": wishes,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
