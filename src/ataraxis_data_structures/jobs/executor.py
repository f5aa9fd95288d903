"""The name under which a scheduler or this process runs a job."""

import os
from collections.abc import Mapping

# Scheme, variable that holds the job's id, variable that must also be there.
_SCHEDULERS = (
    ("slurm", "SLURM_JOB_ID", None),
    ("slurm", "SLURM_JOBID", None),
    ("pbs", "PBS_JOBID", None),
    ("lsf", "LSB_JOBID", None),
    ("oar", "OAR_JOB_ID", None),
    ("sge", "JOB_ID", "SGE_ROOT"),
    ("hpcpack", "CCP_JOBID", None),
    ("azurebatch", "AZ_BATCH_JOB_ID", None),
    ("awsbatch", "AWS_BATCH_JOB_ID", None),
)


def default_executor_id(environment: Mapping[str, str] = os.environ) -> str:
    """Return `scheme:id` of the first scheduler whose variable is set, else `pid:N`."""
    for scheme, variable, witness in _SCHEDULERS:
        if environment.get(variable) and (witness is None or environment.get(witness)):
            return f"{scheme}:{environment[variable]}"
    return f"pid:{os.getpid()}"
