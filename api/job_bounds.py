"""How large a job may be, and how many a user may have under way, as the operator has set it."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.settings import Settings
from common.tiers import OUT_OF_REACH, TIERS, TierName


@dataclass(frozen=True, slots=True)
class JobBounds:
    cells: int
    xlsx_cells: int
    series: Mapping[TierName, int]  # symbols x series of one job
    jobs: Mapping[TierName, int]  # queued or running at once
    webhook_private: bool

    @classmethod
    def of(cls, settings: Settings) -> "JobBounds":
        return cls(
            cells=settings.job_cells,
            xlsx_cells=settings.xlsx_cells,
            series={tier: getattr(settings, f"{tier}_job_series") for tier in TierName},
            jobs={tier: getattr(settings, f"{tier}_jobs") for tier in TierName},
            webhook_private=settings.webhook_private,
        )

    def rank_for(self, series: int) -> int:
        """Rank of the lowest tier that may have a job of so many series; OUT_OF_REACH when none may."""
        return next((tier.rank for tier in TIERS.values() if series <= self.series[tier.name]), OUT_OF_REACH)
