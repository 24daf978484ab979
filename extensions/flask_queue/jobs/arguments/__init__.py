"""The arguments of a job as text: what is enqueued comes back equal and of the same type, or is refused at once.

The text is JSON, meant to be read by people and by other programs:

- `[1, "x"]` is a call with positional arguments only, `{"args": [1], "kwargs": {"name": "x"}}` one with keywords.
- None, bool, int, float, str, lists, and dicts whose keys are all str, stand for themselves.
- Anything else is an object whose first key is its type: `{"$tuple": [1, 2]}`, `{"$date": "2026-07-01"}`,
  `{"$datetime": "2026-07-01T12:00:00", "zone": "Europe/Berlin"}`, `{"$enum": ["app.models:Color", "RED"]}`,
  `{"$model": ["app.models:User", [5]]}`. `decoding.py` lists them all.
- A dict with other keys, or with a key that begins with `$`, is `{"$dict": [[key, value], …]}`, so that no dict of the
  application's can be taken for one of these.

Three files, because three readers come: `encoding.py` runs at every enqueue, `decoding.py` in the worker and must expect
anything of what it reads, `description.py` shows arguments to people and neither loads nor rebuilds anything.
"""

from .decoding import decode
from .description import describe, positional_names
from .encoding import encode
from .references import References

__all__ = ["References", "decode", "describe", "encode", "positional_names"]
