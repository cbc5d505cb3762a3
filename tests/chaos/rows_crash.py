"""Crashes and lost answers: at every write of every scenario."""

from proxy import drop_after, kill
from rows import every_write, scenario_row


@scenario_row(1, "SIGKILL after write N", points=every_write, short=(("canary", 3), ("retraining", 5)))
def crash_after(world, case):
    world.rule(world.writes(nth=case.n, times=1), kill(world.crash, "after"))


@scenario_row(2, "SIGKILL before write N is forwarded", points=every_write, short=(("canary", 4), ("retraining", 4)))
def crash_before(world, case):
    world.rule(world.writes(nth=case.n, times=1), kill(world.crash, "before"))


@scenario_row(3, "write N committed but its answer lost", points=every_write, short=(("canary", 3), ("retraining", 3)))
def lost_answer(world, case):
    world.rule(world.writes(nth=case.n, times=1), drop_after())
