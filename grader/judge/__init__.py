"""The trusted end of the boundary: what starts, limits, feeds and ends a worker.

Rule 1: what comes from a worker is a stranger's data; what is wrong with it is a crash of the submission.
Rule 2: nothing here knows an exercise, a test or an expected value.
"""
