"""The table of rows. A file rows_*.py registers its own with one of two decorators:

    @scenario_row(26, "409 on each update", points=count)     # run over reference scenarios
    def conflict(world, case): world.rule(…)                  # arms the fault; the scenario goes on, and its end is compared with a fault-free run's

    @own_row(37, "clock an hour off: one leader")             # a story of its own
    def clock(world, case): …                                 # asserts what it wants; `world.fault()` or rules count the faults

README.md says more."""

import dataclasses
import importlib
import pathlib

import scenarios

CLIENTS = ("cpprest", "curl")
ROWS = {}


@dataclasses.dataclass(frozen=True)
class Case:
    """One run. `n` is the row's own number: which write, which sample."""
    row: int
    scenario: str
    n: int
    client: str
    seed: int
    of: int = 0     # the last n of this row and scenario

    @property
    def id(self):
        return f"{self.row}/{self.scenario or 'own'}/{self.n}/{self.client}"


@dataclasses.dataclass
class Row:
    number: int
    name: str
    arm: object
    scenarios: tuple          # () for a story of its own
    points: object            # baseline → how many n there are (1…)
    short: tuple              # (scenario, n) of `make chaos-short`; n may be a function of points
    arguments: tuple = ()     # further flags of the operator; "{namespace}" is filled in
    prepare: object = None    # fn(world), before the operator starts
    disarm: object = None     # fn(world, case), when the scenario has reached its end
    long: bool = False        # a run takes minutes: these start first, then other stories

    def cases(self, baselines, seed, short=False):
        chosen = []
        for name in self.scenarios or ("",):
            if callable(self.points) and name not in baselines:   # nobody asked for it
                continue
            points = self.points(baselines.get(name)) if callable(self.points) else self.points
            for n in range(1, points + 1):
                client = CLIENTS[(self.number + n + seed) % 2]
                chosen.append(Case(self.number, name, n, client, seed, points))
        if not short:
            return chosen
        wanted = [(name, n(max(c.of for c in chosen if c.scenario == name)) if callable(n) else n) for name, n in self.short]
        chosen = [case for case in chosen if (case.scenario, case.n) in wanted]
        return [dataclasses.replace(case, client=CLIENTS[(self.number + place) % 2]) for place, case in enumerate(chosen)]


def every_write(baseline):
    """As many as the fault-free run wrote at most, Events aside."""
    return baseline["writes"]


def middle(points):
    return (points + 1) // 2


def scenario_row(number, name, on=tuple(scenarios.ALL), points=1, short=(("canary", middle),), **more):
    """`on`: names of scenarios; `points`: how many n, a number or a function of the baseline."""
    def register(arm):
        _add(Row(number, name, arm, tuple(on), points, tuple(short), **more))
        return arm
    return register


def own_row(number, name, points=1, short=(1,), **more):
    def register(arm):
        _add(Row(number, name, arm, (), points, tuple(("", n) for n in short), **more))
        return arm
    return register


def _add(row):
    ROWS.setdefault(row.number, []).append(row)


def load():
    for path in sorted(pathlib.Path(__file__).parent.glob("rows_*.py")):
        importlib.import_module(path.stem)
    return ROWS
