"""How state machines of hypothesis run against real servers: the same steps each time, nothing kept, no shrinking."""

from hypothesis import HealthCheck, Phase, settings


def machine_settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=[Phase.generate],  # shrinking would take as long again as everything else
    )
