"""What a URL asks, read once: programs ask the same again and again."""

from collections import OrderedDict
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from api.negotiation import form_for
from common.dataset import Manifest, ManifestFile
from common.plan import BARS_PATH, VALUES_PATH, Plan, between, plan_bars, plan_values
from common.query import IndicatorQuery, Interval
from common.tiers import Tier
from common.warming import asked_text

_MOST = 4_096
_LONGEST = 512
"""Questions kept, and the characters of the longest one."""


def route_of(path: str) -> str | None:
    """The route, as it is documented, that a question at `path` belongs to; None when there is none."""
    if between(path, VALUES_PATH) is not None:
        return "/v1/indicators/{name}/values"
    if between(path, BARS_PATH) is not None:
        return "/v1/symbols/{symbol}/ohlcv"
    return None


class Target(NamedTuple):
    """What a question means to users of one tier."""

    query: IndicatorQuery
    key: str  # in the cache
    data_version: str
    last_bar_final: bool | None  # None for daily bars
    asked: str  # for the record of what is asked most


class Question:
    """A valid question, of one version of the data."""

    def __init__(self, plan: Plan, address: str, manifest: Manifest) -> None:
        self.manifest = manifest
        self.rank = plan.rank
        """Of the lowest tier that may ask this."""
        self.by_tier = plan.start_date is None
        """Whether the tier decides where the answer begins."""
        self._plan = plan
        self._address = address
        self._targets: dict[int, Target] = {}

    def target(self, tier: Tier) -> Target:
        found = self._targets.get(tier.rank)
        if found is None:
            plan = self._plan
            query = plan.query_for(tier)
            found = self._targets[tier.rank] = Target(
                query=query,
                key=query.cache_key(plan.data_version),
                data_version=plan.data_version,
                last_bar_final=None if query.interval is Interval.DAY else plan.last_bar_final(query),
                asked=asked_text(tier.name, query.form, self._address),
            )
        return found


class Questions:
    """The latest questions, bounded."""

    def __init__(self, manifest: ManifestFile) -> None:
        self._manifest = manifest
        self._read: OrderedDict[tuple[str, bytes, bytes | None], Question] = OrderedDict()

    def read(self, path: str, query_string: bytes, accept: bytes | None) -> Question:
        """Raises InvalidParameters, NotFound, NotAcceptable, and DataError while there is no data."""
        manifest = self._manifest.current()
        words = path, query_string, accept
        question = self._read.get(words)
        if question is not None and question.manifest is manifest:
            self._read.move_to_end(words)
            return question
        address = f"{quote(path)}?{query_string.decode('latin-1')}".removesuffix("?")
        question = Question(_plan(path, query_string, accept, manifest), address, manifest)
        if len(address) + len(accept or b"") <= _LONGEST:
            self._read[words] = question
            if len(self._read) > _MOST:
                self._read.popitem(last=False)
        return question


def _plan(path: str, query_string: bytes, accept: bytes | None, manifest: Manifest) -> Plan:
    words = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    form = form_for(None if accept is None else accept.decode("latin-1"))
    for ends, plan in ((VALUES_PATH, plan_values), (BARS_PATH, plan_bars)):
        name = between(path, ends)
        if name is not None:
            return plan(name, words, form, manifest)
    raise LookupError(path)
