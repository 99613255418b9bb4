"""The back end for Interbotix's driver, which aloha_bringup starts for each arm of a stock ALOHA.

`driver_link.py` has the topics and services of one arm's driver.
`driver_checks.py` says what the driver must answer. `preparation.py` prepares one arm without blocking (`waits.py`),
`follower.py` decides when, and `backend.py` joins both arms.
"""
