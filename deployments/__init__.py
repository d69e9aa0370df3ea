"""Every way to run mediateca: the command line, catalogues, Prefect deployments, the sandbox."""
