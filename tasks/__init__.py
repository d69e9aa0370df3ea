"""The stage mechanism and the steps of the pipeline; `tasks.run` alone knows Prefect."""
