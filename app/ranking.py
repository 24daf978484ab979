"""How high a post stands: more voices lift it, age lets it sink. Arithmetic only.

Apart from the models and the job, which both need it and must not need each other.
"""

import math
from datetime import timedelta

GRAVITY = 1.8  # higher: posts sink faster
HEAD_START = 2.0  # hours; keeps the first minutes from deciding everything

# Once a post has sunk below this, it stays where it is until somebody comments on it again.
SETTLED_SCORE = 1e-4


def score(voices: int, age: timedelta) -> float:
    """The score of a post on which that many people, its author apart, have commented.

    :param voices: How many different people; nobody lifts a post by talking to themselves.
    :param age: Time since it was posted.
    """
    hours = max(age.total_seconds(), 0.0) / 3600
    return (1 + voices) / math.pow(hours + HEAD_START, GRAVITY)


FRESH_SCORE = score(0, timedelta(0))
