"""What holds in the database at every moment, whatever has happened."""

from sqlalchemy import Connection, text

# Each statement sees one moment; whatever runs meanwhile, what it finds was committed together. The parts of a job
# that has expired are gone.
_HALF_DONE = text("""
SELECT j.id, j.status, j.parts_ended, p.ended, j.series_completed, j.series_failed, p.failed, j.cost, j.refunded, p.open
FROM jobs j CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE number < j.parts_total) AS cut,
           count(*) FILTER (WHERE number < j.parts_total AND state IN ('completed', 'failed')) AS ended,
           count(*) FILTER (WHERE state IN ('waiting', 'queued', 'running')) AS open,
           COALESCE(sum(jsonb_array_length(errors)) FILTER (WHERE number < j.parts_total), 0) AS failed
    FROM job_parts WHERE job_id = j.id
) p
WHERE j.status <> 'expired' AND (
    p.cut <> j.parts_total OR p.ended <> j.parts_ended OR p.failed <> j.series_failed
    OR (p.open > 0) <> (j.status IN ('queued', 'running'))
    OR (j.completed_at IS NULL) <> (j.status IN ('queued', 'running'))
    OR (j.result_file IS NOT NULL) <> (j.status = 'completed')
    OR j.refunded <> CASE j.status WHEN 'failed' THEN j.cost WHEN 'cancelled' THEN j.cost - j.series_completed
                                   ELSE j.series_failed END
    OR (j.status = 'completed' AND j.series_completed + j.series_failed <> j.cost)
)
""")

_MISCOUNTED = text("""
SELECT u.username, u.requests_today, COALESCE(sum(j.cost - j.refunded), 0) AS owed
FROM users u LEFT JOIN jobs j ON j.user_id = u.id AND j.charged_on = u.last_request_reset
GROUP BY u.id HAVING u.requests_today <> COALESCE(sum(j.cost - j.refunded), 0)
""")


def assert_books(connection: Connection) -> None:
    """Jobs say what their parts say, and users, who have asked for nothing else, have paid for their jobs alone."""
    assert connection.execute(_HALF_DONE).all() == []
    assert connection.execute(_MISCOUNTED).all() == []
