"""Words of error texts as they are searched for: plain words, and what code writes together.

Indexes split text at everything that is neither letter nor digit. What that loses is added here: `CamelCase` also stands
as `Camel Case`, and `snake_case`, `dotted.name` and `kebab-case` also as one word, so that a name is found whole and in
parts, in whatever style it was written. Operators stand as words too: a rule about `==` says little without them. Where
a script puts no blanks between words, each two neighbours stand as one.
"""

import re
import string

from app.skills.scripts import in_pairs

_PARTS = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
_HUMP = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")  # in names with other letters than English
_JOINTS = "_.:/\\-"
_TOGETHER = {ord(sign): None if sign in _JOINTS else " " for sign in string.punctuation}
_OPERATORS = {
    operator: f"op{operator.encode().hex()}"
    for operator in (
        "==",
        "!=",
        "<=",
        ">=",
        ":=",
        "->",
        "=>",
        "**",
        "//",
        "|",
        "||",
        "&&",
        "[]",
        "{}",
        "()",
        "...",
        "::",
    )
}
_QUOTES = "'`\"(),."
_LONGEST = 64
"""Characters of a word that is still kept whole."""


def with_code_words(text: str) -> str:
    """`text`, and behind it what its code-like words are also found by."""
    text = in_pairs(text)
    # Most words are plain, and are passed by at the speed of C: 0.1 µs. So are those with marks around them: 0.3.
    odd = [word for word in text.split() if not word.isalpha() or not (word.islower() or word.istitle())]
    extra: list[str] = []
    for word in dict.fromkeys(odd):
        bare = word.strip(string.punctuation)
        if bare.isalpha() and (bare.islower() or bare.istitle()):
            continue
        tokens = [bare.replace("_", "")] if bare.isidentifier() else bare.translate(_TOGETHER).split()
        for token in tokens:
            if token not in word and len(token) <= _LONGEST:
                extra.append(token)
            if not (token.islower() or token.isupper()):
                parts = _PARTS.findall(token) if token.isascii() else _HUMP.split(token)
                if len(parts) > 1:
                    extra += parts
        if not bare and (operator := _OPERATORS.get(word.strip(_QUOTES) or word)):
            extra.append(operator)
    return " ".join([text, *extra]) if extra else text
