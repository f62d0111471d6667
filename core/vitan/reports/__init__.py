"""A results folder as one page: gathered, and written as HTML that needs nothing else."""
