"""Settings all tests share."""

from hypothesis import settings

# The same examples on every run, and no limit on the time of one: a test that fails must fail again.
settings.register_profile("metarep", derandomize=True, deadline=None)
settings.load_profile("metarep")
