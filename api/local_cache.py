"""The answers this process keeps in its own memory."""

from collections import OrderedDict

from api.representations import Representations


class LocalCache:
    """Least recently used answers, bounded in bytes. Safe without invalidation: keys carry the data's version."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._answers: OrderedDict[str, Representations] = OrderedDict()

    def get(self, key: str) -> Representations | None:
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: str, answer: Representations) -> None:
        size = answer.size + len(key)
        if size > self._max_bytes or key in self._answers:
            return
        self._answers[key] = answer
        self._bytes += size
        while self._bytes > self._max_bytes:
            old_key, old = self._answers.popitem(last=False)
            self._bytes -= old.size + len(old_key)
