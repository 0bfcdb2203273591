"""The telemetry of every library in use, switched off before any of them is imported."""

import os
from typing import Final

OFF: Final = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


def switch_off() -> None:
    """For this process and its children."""
    os.environ.update(OFF)
