"""One pass feeds all: plan, job, schedule, passes, store."""
