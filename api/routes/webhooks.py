"""Webhooks: the secret that signs them, and what has become of the messages of a job."""

from fastapi import APIRouter, Response, status

from api.caller import Caller
from api.document import problem_response
from api.job_ids import read_job_id
from api.schemas.webhooks import Deliveries, Delivery, Secret
from api.state import ServicesDep
from api.webhooks import list_deliveries, retry_delivery
from common.webhook_secrets import rotate_secret, signing_secrets

router = APIRouter(tags=["webhooks"])


@router.get("/v1/webhooks/secret")
async def secret(response: Response, caller: Caller, services: ServicesDep) -> Secret:
    """The secret your webhooks are signed with. It is made when it is first needed."""
    response.headers["Cache-Control"] = "no-store"
    return await services.database.run(lambda c: Secret.of(signing_secrets(c, caller.user_id)[0]))


@router.post("/v1/webhooks/secret", status_code=status.HTTP_201_CREATED)
async def rotate(response: Response, caller: Caller, services: ServicesDep) -> Secret:
    """Replace the secret. For 24 hours the old one signs along, so receivers can change in their own time."""
    response.headers["Cache-Control"] = "no-store"
    return await services.database.run(lambda c: Secret.of(rotate_secret(c, caller.user_id)))


@router.get("/v1/jobs/{job_id}/deliveries")
async def deliveries(job_id: str, caller: Caller, services: ServicesDep) -> Deliveries:
    """What was sent to the `webhook_url` of a job, and how it was taken. None before the job has ended."""
    key = read_job_id(job_id)
    return await services.database.run(lambda c: Deliveries.of(list_deliveries(c, caller.user_id, key)))


@router.post(
    "/v1/jobs/{job_id}/deliveries/{delivery_id}/retry",
    status_code=status.HTTP_202_ACCEPTED,
    responses={409: problem_response("It is pending and will be sent anyway.")},
)
async def retry(job_id: str, delivery_id: str, caller: Caller, services: ServicesDep) -> Delivery:
    """Send a message again that was delivered or given up, under the same `webhook-id`."""
    key = read_job_id(job_id)
    return await services.database.run(lambda c: Delivery.of(retry_delivery(c, caller.user_id, key, delivery_id)))
