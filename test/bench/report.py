"""The goals, and the tables."""

from statistics import median

# (hop, kind of workload) -> [(contender, yardstick, most it may use of what the yardstick uses)]
# With kernel TLS the contender "dind-proxy" uses it and "dind no kTLS" is our own user-space path.
GOALS = {
    ("unix→unix", "bulk"): [("dind-proxy", "HAProxy", 0.5), ("dind-proxy", "copy relay", 0.25)],
    ("mTLS→mTLS", "bulk"): [
        ("dind-proxy", "HAProxy", 0.9),
        ("dind no kTLS", "HAProxy", 0.9),
        ("dind-proxy", "dind no kTLS", 0.6),
        ("dind-proxy", "copy relay", None),
    ],
    # Its frames are read and judged, so that nothing of it can be spliced.
    "grpc": [("dind-proxy", "HAProxy", None), ("dind-proxy", "copy relay", None)],
    "requests": [("dind-proxy", "HAProxy", 1.0), ("dind-proxy", "copy relay", None)],
    "idle": [("dind-proxy", "HAProxy", None)],
}
IDLE_GOAL = 4096  # bytes a stream, where no user-space TLS has to keep its state


def goals_of(row):
    """The ratios to show. Where dind-proxy uses kernel TLS, the goal against HAProxy is for its own
    user-space path; the first one then is for information."""
    found = GOALS.get((row.hop, row.kind)) or GOALS.get(row.kind, [])
    if "dind no kTLS" in row.used and row.kind == "bulk":
        return [(a, b, None if (a, b) == ("dind-proxy", "HAProxy") else goal)
                for a, b, goal in found]
    return found


class Row:
    """One workload over one hop: what each contender used of `unit`, a figure a repetition."""

    def __init__(self, hop, kind, name, unit):
        self.hop = hop
        self.kind = kind
        self.name = name
        self.unit = unit
        self.used = {}  # contender -> [figure]
        self.instructions = {}
        self.wall = {}

    def add(self, contender, used, wall=None, instructions=None):
        if used is not None:
            self.used.setdefault(contender, []).append(used)
        if wall is not None:
            self.wall.setdefault(contender, []).append(wall)
        if instructions is not None:
            self.instructions.setdefault(contender, []).append(instructions)

    def ratio(self, contender, yardstick):
        """The median of the ratios within each repetition: what disturbs a shared machine for
        longer than that disturbs both."""
        counted = self.instructions if self.instructions else self.used
        pairs = zip(counted.get(contender, []), counted.get(yardstick, []))
        ratios = [a / b for a, b in pairs if b > 0]
        return median(ratios) if ratios else None


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for n, row in enumerate(rows):
        cells = [cell.ljust(w) if i < 3 else cell.rjust(w)
                 for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
        if n == 0:
            lines.append("  ".join("-" * w for w in widths))
    return "\n".join(lines)


def number(value):
    if value is None:
        return "-"
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def usage_table(rows, contenders):
    lines = [["hops", "workload", "unit"] + contenders + ["direct wall"]]
    for row in rows:
        cells = [number(median(row.used[c])) if c in row.used else "-" for c in contenders]
        wall = number(median(row.wall["direct"])) if "direct" in row.wall else "-"
        lines.append([row.hop, row.name, row.unit] + cells + [wall])
    return table(lines)


def verdict(ratio, goal):
    if ratio is None or goal is None:
        return ""
    return "met" if ratio <= goal else "MISSED"


def ratio_table(rows):
    lines = [["hops", "workload", "ratio", "measured", "goal", ""]]
    for row in rows:
        for contender, yardstick, goal in goals_of(row):
            ratio = row.ratio(contender, yardstick)
            if ratio is None:
                continue
            shown = "" if goal is None else f"≤ {goal}"
            lines.append([row.hop, row.name, f"{contender} / {yardstick}", f"{ratio:.2f}", shown,
                          verdict(ratio, goal)])
        if row.kind == "idle" and "dind-proxy" in row.used:
            used = median(row.used["dind-proxy"])
            goal = IDLE_GOAL if row.hop == "unix→unix" or "dind no kTLS" in row.used else None
            shown = "" if goal is None else f"≤ {goal}"
            lines.append([row.hop, row.name, "dind-proxy, bytes", f"{used:.0f}", shown,
                          verdict(used, goal)])
    return table(lines)


def details_table(rows):
    lines = [["hops", "workload", "contender", "median", "least", "most", "wall", "Minstr"]]
    for row in rows:
        for contender in dict.fromkeys(list(row.used) + list(row.wall)):
            used = row.used.get(contender)
            wall = row.wall.get(contender)
            counted = row.instructions.get(contender)
            lines.append([row.hop, row.name, contender]
                         + ([number(f(used)) for f in (median, min, max)] if used else ["-"] * 3)
                         + [number(median(wall)) if wall else "-"]
                         + [number(median(counted) / 1e6) if counted else "-"])
    return table(lines)


def as_data(rows):
    return [{"hops": r.hop, "workload": r.name, "unit": r.unit, "used": r.used, "wall": r.wall,
             "instructions": r.instructions} for r in rows]
