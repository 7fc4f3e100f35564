"""Draw sentences of the book to be held against its numbers: `python scripts/sentences.py`.

Every sentence of the pages that say most, the status, the landing page and the chapters on trained
networks, is as likely as any other. The seed stands here, so that who checks them cannot choose.
"""

import argparse
import random
import re
from collections.abc import Iterator

from chapters import BOOK
from prose import without_code

SEED, COUNT = 20261204, 60
PAGES = (
    "status",
    "intro",
    "trained-linear-attention",
    "which-algorithm",
    "trained-transformers",
    "probes",
    "interventions-trained",
    "softmax-and-the-exponential-kernel",
)
END = re.compile(r"(?<=[.:?])\s+(?=[A-Z*{\"])")
NO_PROSE = re.compile(r"^\s*(#|:|-{3}|`{3}|\{|\$|\||\* - |>|%)")


def sentences(page: str) -> Iterator[tuple[int, str]]:
    """(line, sentence) of the prose of a page, those of tables and lists included, headings and maths left out."""
    text = without_code((BOOK / f"{page}.md").read_text(encoding="utf-8"))
    for number, line in enumerate(text.splitlines(), start=1):
        if NO_PROSE.match(line):
            continue
        for sentence in END.split(line.strip().removeprefix("- ").removeprefix("* ")):
            if len(re.findall(r"[^\W\d_]{2,}", sentence)) >= 6:
                yield number, sentence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=COUNT)
    given = parser.parse_args()
    every = [(page, *found) for page in PAGES for found in sentences(page)]
    drawn = random.Random(given.seed).sample(every, given.count)
    for number, (page, line, sentence) in enumerate(sorted(drawn), start=1):
        print(f"{number}. book/{page}.md:{line}: {sentence}")
    print(f"{given.count} of {len(every)} sentences, seed {given.seed}")


if __name__ == "__main__":
    main()
