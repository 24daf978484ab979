"""Made-up people, sites and sentences. The same seed gives the same texts.

Apart from `seeding.py`, which writes them into the database.
"""

from collections.abc import Iterator
from random import Random


def _words(text: str) -> list[str]:
    return text.split()


WORDS = _words("""
    ad adipiscing aliqua aliquip amet anim aute cillum commodo consectetur consequat culpa cupidatat deserunt do dolor
    dolore duis ea eiusmod elit enim esse est et eu ex excepteur exercitation fugiat id in incididunt ipsum irure labore
    laboris laborum lorem magna minim mollit nisi non nostrud nulla occaecat officia pariatur proident qui quis
    reprehenderit sed sint sit sunt tempor ullamco ut velit veniam voluptate
""")
FIRST_NAMES = _words("ada amara bela chen dario elin farid greta hana ines jonas kofi leila mateo nadia oskar priya")
LAST_NAMES = _words("abel bauer costa dahl engel fonseca grant hoff ito jansen klein lund mori novak okoye perez")
SITES = _words("acta atlas codex forum gazeta tabula tempora vox")
OPENINGS = (
    "Ask: {}?",
    "Show: {}",
    "Why {}",
    "How {}",
    "{}",
    "{}",
    "{}",
    "The case against {}",
    "A short history of {}",
    "What we learned from {}",
    "{}, explained",
    "On {}",
)


class Lorem:
    """A source of texts."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def usernames(self, taken: set[str]) -> Iterator[str]:
        """Names that nobody has yet, without end."""
        while True:
            name = f"{self.random.choice(FIRST_NAMES)}-{self.random.choice(LAST_NAMES)}"
            while name in taken:
                name += str(self.random.randint(0, 9))
            taken.add(name)
            yield name

    def words(self, fewest: int, most: int) -> str:
        return " ".join(self.random.choices(WORDS, k=self.random.randint(fewest, most)))

    def title(self) -> str:
        text = self.random.choice(OPENINGS).format(self.words(2, 7))
        return text[0].upper() + text[1:]

    def sentence(self) -> str:
        return self.words(5, 14).capitalize() + "."

    def paragraph(self, most: int = 5) -> str:
        return " ".join(self.sentence() for _ in range(self.random.randint(1, most)))

    def text(self, most: int = 3) -> str:
        return "\n\n".join(self.paragraph() for _ in range(self.random.randint(1, most)))

    def url(self) -> str:
        """An address on a host that never exists: names below .example are kept free for that."""
        return f"https://{self.random.choice(SITES)}.example/{self.words(2, 4).replace(' ', '-')}"
