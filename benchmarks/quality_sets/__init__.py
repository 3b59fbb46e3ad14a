"""Labelled sets for retrieval: skills made from what a tool documents, and questions it really prints.

A set is made anew each time from installed packages, offline, so the same versions give the same set. A skill is the
documentation of one rule without its examples and its code; a question is the message that the tool prints on the
rule's own bad example, without the code. Nothing is written or chosen by hand.
"""

from collections import Counter
from dataclasses import dataclass, replace

MAX_DESCRIPTION = 1024


@dataclass(frozen=True)
class Question:
    """What an agent reads on its screen, and the name of the skill that explains it."""

    text: str
    answer: str


@dataclass(frozen=True)
class LabelledSet:
    """`skills` are bodies for `POST /skills`; a rule whose example prints nothing is among them, but not asked for."""

    name: str
    skills: list[dict[str, object]]
    questions: list[Question]

    def with_distinct_skills(self) -> "LabelledSet":
        """The same, but that skills that share a resolution have their name in it.

        CIN takes captures with one `error_type`, `pattern` and `resolution` for one skill, and some rules of a family
        say the same but for a word in their first paragraph.
        """
        times = Counter(str(each["resolution"]) for each in self.skills)
        return replace(
            self,
            skills=[
                {**each, "resolution": f"{each['name']}: {each['resolution']}"}
                if times[str(each["resolution"])] > 1
                else each
                for each in self.skills
            ],
        )


def skill(name: str, prose: str, tag: str) -> dict[str, object]:
    """A capture of one rule: its first paragraph says when it applies, the rest (if any) what to do."""
    first, _, rest = prose.strip().partition("\n\n")
    description = " ".join(first.split())
    return {
        "name": name,
        "description": description[:MAX_DESCRIPTION],
        "error_type": None,
        "pattern": None,
        "resolution": (description[MAX_DESCRIPTION:] + "\n\n" + rest).strip() or description,
        "tags": [tag],
    }
