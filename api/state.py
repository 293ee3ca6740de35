"""Everything a route may need, made and closed by the application's lifespan."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from api.admission import Admissions
from api.asked import Asked
from api.burst import Bursts
from api.database import Database
from api.health import Health
from api.job_bounds import JobBounds
from api.job_watch import JobWatch
from api.open_streams import OpenStreams
from api.publisher import Publisher
from api.questions import Questions
from api.queue_metrics import QueueMetrics
from api.result_store import ResultStore
from api.results import Results
from api.security import AccessTokens
from common.dataset import ManifestFile
from common.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    clock: Callable[[], datetime]
    database: Database
    admissions: Admissions
    bursts: Bursts
    tokens: AccessTokens
    hashing: ThreadPoolExecutor  # bcrypt, bounded
    decoy_hash: str  # what an unknown user's password is compared with
    publisher: Publisher
    results: Results
    questions: Questions
    asked: Asked
    manifest: ManifestFile
    job_bounds: JobBounds
    result_store: ResultStore
    queue_metrics: QueueMetrics
    health: Health
    job_watch: JobWatch
    open_streams: OpenStreams


# async, though it awaits nothing: FastAPI would send a plain function to a thread.
async def services(request: Request) -> Services:
    found: Services = request.scope["state"]["services"]
    return found


ServicesDep = Annotated[Services, Depends(services)]
